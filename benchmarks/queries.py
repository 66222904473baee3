"""How long the service's reads take over two million events: `scripts/bench queries`.

Loads a new database by the service's own store: thirty days of several customers, one of whom has half of everything,
in sessions of 400 messages of about 600 bytes. Then asks what the pages ask, each question many times about different
sessions, and requests every page of the dashboard as a signed-in person does: the time is the server's, from request
to rendered answer, everything on this machine.

The last line is one JSON object; every name carries its unit. A p95 above its target makes the command fail.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from km_protocol.envelope import unix_milliseconds, uuid7

from benchmarks._database import POSTGRESQL, SQLITE, database, set_up, version
from benchmarks._event_load import SESSION_EVENTS, TOOLS, WORDS
from benchmarks._machine import machine

if TYPE_CHECKING:
    from django.test import Client

    from events.store import NewEvent

DAYS = 30
CUSTOMERS = 20
CHUNK_EVENTS = 5_000
TIMES = 60  # each question
TARGETS_MS = {"recent_100": 5, "hourly_chart": 5, "sessions": 10, "percentiles": 50, "page": 100}


def traffic(count: int, customers: list[int], now: datetime) -> Iterator[NewEvent]:
    """`count` events, session after session, the oldest first; every second session is the first customer's."""
    from events.store import NewEvent  # noqa: PLC0415 - Django must be set up

    chance = random.Random(8318)
    texts = [" ".join(chance.choices(WORDS, k=60)) for _ in range(500)]
    sessions = max(1, count // SESSION_EVENTS)
    length = timedelta(days=DAYS) / sessions
    party, client = ("git", "1.2.0", ""), ("bench", "1.0", "")
    for number in range(count):
        session, place = divmod(number, SESSION_EVENTS)
        customer = customers[0] if session % 2 else customers[1 + session // 2 % (len(customers) - 1)]
        moment = now - timedelta(days=DAYS) + length * session + timedelta(seconds=0.7 * place)
        is_answer, tool = number % 2 == 1, TOOLS[number // 2 % len(TOOLS)]
        name = "response" if is_answer else "request"
        body = f'"method":"tools/call","params":{{"name":"{tool}","text":"{chance.choice(texts)}"}}'
        message = f'{{"jsonrpc":"2.0","id":{place // 2},{body}}}'
        yield NewEvent(
            customer_id=customer,
            id=uuid7(unix_milliseconds(moment), os.urandom(10)),
            correlation_id=f"{session}-{place // 2}",
            timestamp=moment,
            type=name,
            direction=name,
            method="tools/call",
            tool=tool,
            session_id=f"session-{session}",
            sequence=place,
            duration_ms=chance.lognormvariate(2, 1) if is_answer else None,
            is_error=is_answer and chance.random() < 0.02,
            size=len(message),
            server=party,
            client=client,
            is_base64=False,
            truncated=False,
            message=message,
        )


def load(count: int, customers: list[int], now: datetime) -> float:
    """Store and count `count` events as a drain does. Returns the events a second."""
    from django.db import connection, transaction  # noqa: PLC0415 - Django must be set up

    from events import rollups, sessions, stores  # noqa: PLC0415 - as above
    from events.stores import partitions  # noqa: PLC0415 - as above

    if connection.vendor == POSTGRESQL:  # those that a month of hourly maintenance would have made
        partitions.make(now - timedelta(days=DAYS), now)
    events, begun = traffic(count, customers, now), time.perf_counter()
    while chunk := list(islice(events, CHUNK_EVENTS)):
        with transaction.atomic():
            new = stores.current().insert(chunk)
            sessions.add(new)
            rollups.add(new)
    seconds = time.perf_counter() - begun
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == POSTGRESQL else "ANALYZE")  # as autovacuum does
    return count / seconds


def timed(question: Callable[[], Any]) -> dict[str, float]:
    """Median and 95th percentile of `TIMES` runs, in ms. The first five are not counted: caches, imports."""
    taken = []
    for number in range(TIMES + 5):
        begun = time.perf_counter()
        question()
        if number >= 5:
            taken.append((time.perf_counter() - begun) * 1000)
    return {"p50_ms": round(statistics.median(taken), 2), "p95_ms": round(statistics.quantiles(taken, n=20)[-1], 2)}


def questions(customer: int, sessions: list[str], now: datetime) -> dict[str, Callable[[], Any]]:
    """The reads with a target of their own."""
    from events import queries  # noqa: PLC0415 - Django must be set up
    from events.store import EventFilter  # noqa: PLC0415 - as above

    chance = random.Random(1)
    month, day = now - timedelta(days=DAYS), now - timedelta(days=1)
    return {
        "recent_100": lambda: queries.recent_events(customer, limit=100),
        "hourly_chart": lambda: queries.hours(customer, since=day, until=now),
        "sessions": lambda: queries.sessions(customer, limit=50),
        "percentiles": lambda: queries.latencies(customer, since=month),
        "session": lambda: queries.session_exchanges(customer, chance.choice(sessions), limit=100),
        "errors": lambda: queries.recent_events(customer, limit=50, only=EventFilter(errors_only=True)),
        "rare_filter": lambda: queries.recent_events(customer, limit=50, only=EventFilter(tool="no such tool")),
        "totals": lambda: queries.totals(customer, since=month),
    }


PLAIN = {
    "account": "/app/account",
    "components": "/app/components",
    "submissions": "/app/plugins/submissions",
    "tools_24h": "/app/tools",
    "tools_7d": "/app/tools?range=7d",
    "tools_30d": "/app/tools?range=30d&sort=slow",
    "tool_server": "/app/tools/server?name=git&range=7d",
    "plugins": "/app/plugins",
    "plugins_search": "/app/plugins?q=no-such-plugin",
    "machines": "/app/settings/machines",
}
"""Pages whose address is the same for whatever was loaded."""


def pages(client: Client, customer: int, sessions: list[str]) -> dict[str, Callable[[], Any]]:
    """Every page of the dashboard, about a session of the customer's drawn anew each time."""
    from events import queries  # noqa: PLC0415 - Django must be set up

    chance = random.Random(2)
    drawn = chance.sample(sessions, min(40, len(sessions)))
    first: dict[str, UUID] = {
        session: queries.session_events(customer, session, limit=1).rows[0].id for session in drawn
    }
    before = queries.sessions(customer, limit=50).next
    older = queries.recent_events(customer, limit=50).next
    tails = {session: queries.session_tail(customer, session, last=150) for session in drawn}

    def get(address: Callable[[str], str]) -> Callable[[], None]:
        def ask() -> None:
            response = client.get(address(chance.choice(drawn)))
            assert response.status_code == 200, response.status_code
            assert b"".join(response) if response.streaming else response.content

        return ask

    return {
        "overview_1h": get(lambda _: "/app/?range=1h"),
        "overview_24h": get(lambda _: "/app/?range=24h"),
        "overview_7d": get(lambda _: "/app/?range=7d"),
        "overview_30d": get(lambda _: "/app/?range=30d"),
        "events": get(lambda _: "/app/events"),
        "events_next": get(lambda _: f"/app/events?before={older}"),
        "events_of_a_tool": get(lambda _: f"/app/events?tool={TOOLS[0]}&server=git&range=7d"),
        "events_with_errors": get(lambda _: "/app/events?errors=1"),
        "events_of_ten_years": get(lambda _: "/app/events?from=2016-11-22T00:00&to=2036-11-22T00:00"),
        "events_rare": get(lambda _: "/app/events?tool=no-such-tool"),
        "events_live": get(lambda _: "/app/live/events?seen=0"),
        "event": get(lambda session: f"/app/events/{first[session]}"),
        "event_opened": get(lambda session: f"/app/events/{first[session]}/opened"),
        "sessions": get(lambda _: "/app/sessions"),
        "sessions_next": get(lambda _: f"/app/sessions?before={before}"),
        "sessions_of_a_server": get(lambda _: "/app/sessions?q=git"),
        "sessions_live": get(lambda _: "/app/live/sessions?seen=0"),
        "session": get(lambda session: f"/app/sessions/{session}"),
        "session_end": get(lambda session: f"/app/sessions/{session}?after={tails[session]}"),
        "session_more": get(lambda session: f"/app/sessions/{session}/more?after={tails[session]}"),
        "session_live": get(lambda session: f"/app/sessions/{session}/live?seen=0&waiting={first[session]}"),
        "exchange": get(lambda session: f"/app/sessions/{session}/exchanges/{first[session]}"),
        "exchange_opened": get(lambda session: f"/app/sessions/{session}/exchanges/{first[session]}/opened"),
        "message": get(lambda session: f"/app/sessions/{session}/messages/{first[session]}"),
        "message_whole": get(lambda session: f"/app/sessions/{session}/messages/{first[session]}/whole"),
        "message_download": get(lambda session: f"/app/sessions/{session}/messages/{first[session]}/download"),
        "alerts": get(lambda _: "/app/alerts"),
        "alerts_rule_errors": get(lambda _: "/app/alerts/rules/new?kind=errors"),
        "alerts_rule_silence": get(lambda _: "/app/alerts/rules/new?kind=silence"),
        "tool": get(lambda _: f"/app/tools/tool?server=git&name={TOOLS[0]}&range=7d"),
        **{name: get(lambda _, path=path: path) for name, path in PLAIN.items()},  # type: ignore[misc]
        "sessions_narrowed": get(lambda _: "/app/sessions?server=git&client=bench&errors=1&range=30d"),
        "sessions_rare": get(lambda _: "/app/sessions?client=no-such-client"),
        "session_replay_jsonl": get(lambda session: f"/app/sessions/{session}/replay.jsonl"),
        "session_replay_txt": get(lambda session: f"/app/sessions/{session}/replay.txt"),
    }


def measure(count: int) -> dict[str, Any]:
    """Load, ask, judge."""
    from django.test import Client  # noqa: PLC0415 - Django must be set up

    from core.clock import now  # noqa: PLC0415 - as above
    from customers import accounts  # noqa: PLC0415 - as above
    from customers.models import Member  # noqa: PLC0415 - as above
    from events.models import Session  # noqa: PLC0415 - as above

    at = now()
    made = [accounts.create_customer(f"Customer {number}", "enterprise", at=at) for number in range(CUSTOMERS)]
    loaded = load(count, [customer.pk for customer in made], at)
    busiest = made[0].pk
    sessions = list(Session.objects.filter(customer_id=busiest).values_list("session_id", flat=True))
    client = Client()
    member = accounts.add_member(made[0], "bench@bench.example", "correct horse battery", Member.Role.OWNER, at=at)
    client.force_login(member.user)
    asked = {name: timed(ask) for name, ask in questions(busiest, sessions, at).items()}
    shown = {name: timed(ask) for name, ask in pages(client, busiest, sessions).items()}
    missed = [f"query {name}" for name, ms in TARGETS_MS.items() if name in asked and asked[name]["p95_ms"] > ms]
    missed += [f"page {name}" for name, taken in shown.items() if taken["p95_ms"] > TARGETS_MS["page"]]
    return {
        "events": count,
        "loaded_events_per_s": round(loaded),
        "targets_p95_ms": TARGETS_MS,
        "queries": asked,
        "pages": shown,
        "slowest_page_p95_ms": max(taken["p95_ms"] for taken in shown.values()),
        "missed": missed,
    }


def main() -> int:
    """Measure; exit with 1 when a target was missed."""
    parser = argparse.ArgumentParser(prog="scripts/bench queries", description="Reads over two million events.")
    parser.add_argument("--database", choices=[POSTGRESQL, SQLITE], default=POSTGRESQL)
    parser.add_argument("--events", type=int, default=2_000_000, help="how many to load (default 2000000)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="km-bench-") as name, database(options.database, Path(name)) as url:
        set_up(url, Path(name))
        result = {"benchmark": "queries", **measure(options.events)}
        result["machine"] = machine() | {"database": version()}
        from django.db import connections  # noqa: PLC0415 - after `set_up`

        connections.close_all()
    print(json.dumps(result))
    return 1 if result["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
