"""How long the service's pages and reads take over two million events: `scripts/bench queries`.

Loads a new database by the service's own store (`_busy_traffic`, `_busy_house`, `_busy_catalog`): thirty days of twenty
customers. One has half of everything, 100,000 sessions, a message of 5 MB, 1,000 machines, 50,000 audit entries; one
has 10,000 tools. Then asks what the pages ask, and requests every page (`_pages`) as a signed-in person does, from
request to rendered and compressed answer, everything on this machine.

    scripts/bench queries --events 200000 --only wide --profile       a part of it, and where its time goes

The last line is one JSON object; every name carries its unit. A page's `cpu_ms` is this process's own CPU time at the
median, which other work on the machine changes little; `queries` are the statements of one request. A p95 above its
target makes the command fail.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import json
import pstats
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks._database import POSTGRESQL, SQLITE, database, set_up, version
from benchmarks._machine import machine

CUSTOMERS = 20
TIMES = 60  # each question
DAYS = 30
TARGETS_MS = {"recent_100": 5, "hourly_chart": 5, "sessions": 10, "percentiles": 50, "page": 100}
PROFILED_LINES = 35


def timed(question: Callable[[], Any]) -> dict[str, float]:
    """Median and 95th percentile of `TIMES` runs, in ms, and the median of the CPU time of this process. The first five
    are not counted: caches, imports."""
    taken, spent = [], []
    for number in range(TIMES + 5):
        begun, cpu = time.perf_counter(), time.process_time()
        question()
        if number >= 5:
            taken.append((time.perf_counter() - begun) * 1000)
            spent.append((time.process_time() - cpu) * 1000)
    return {
        "p50_ms": round(statistics.median(taken), 2),
        "p95_ms": round(statistics.quantiles(taken, n=20)[-1], 2),
        "cpu_ms": round(statistics.median(spent), 2),
    }


def page_figures(ask: Callable[[], int]) -> dict[str, float]:
    """As `timed`, with the statements and the bytes of one request."""
    from django.db import connection  # noqa: PLC0415 - Django must be set up

    statements: list[str] = []

    def counted(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        statements.append(sql)
        return execute(sql, *arguments)

    ask()
    with connection.execute_wrapper(counted):
        size = ask()
    return {**timed(ask), "queries": len(statements), "answer_bytes": size}


def profile(name: str, ask: Callable[[], Any]) -> None:
    """Print where the CPU time of ten requests goes."""
    profiler = cProfile.Profile()
    profiler.enable()
    for _ in range(10):
        ask()
    profiler.disable()
    print(f"== {name}, ten times")
    pstats.Stats(profiler).sort_stats("cumulative").print_stats(PROFILED_LINES)


def questions(customer: int, sessions: list[str], now: datetime) -> dict[str, Callable[[], Any]]:
    """The reads with a target of their own."""
    from events import queries, session_queries  # noqa: PLC0415 - Django must be set up
    from events.store import EventFilter  # noqa: PLC0415 - as above

    chance = random.Random(1)
    month, day = now - timedelta(days=DAYS), now - timedelta(days=1)
    return {
        "recent_100": lambda: queries.recent_events(customer, limit=100),
        "hourly_chart": lambda: queries.hours(customer, since=day, until=now),
        "sessions": lambda: session_queries.sessions(customer, limit=50),
        "percentiles": lambda: queries.latencies(customer, since=month),
        "session": lambda: queries.session_exchanges(customer, chance.choice(sessions), limit=100),
        "errors": lambda: queries.recent_events(customer, limit=50, only=EventFilter(errors_only=True)),
        "rare_filter": lambda: queries.recent_events(customer, limit=50, only=EventFilter(tool="no such tool")),
        "totals": lambda: queries.totals(customer, since=month),
    }


def made(count: int, at: datetime) -> tuple[list[Any], float]:
    """(the customers, the events loaded a second): a database with all there is to be slow."""
    from django.db import connection  # noqa: PLC0415 - Django must be set up

    from benchmarks import _busy_catalog, _busy_house, _busy_traffic  # noqa: PLC0415 - as above
    from customers import accounts  # noqa: PLC0415 - as above

    customers = [accounts.create_customer(f"Customer {number}", "enterprise", at=at) for number in range(CUSTOMERS)]
    loaded = _busy_traffic.load(count, [customer.pk for customer in customers], at)
    _busy_house.fill(customers[0], at=at)
    _busy_catalog.history(customers[0], at=at)
    _busy_catalog.plugins(customers[0], at=at)
    _busy_catalog.tools(customers[1], at=at)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == POSTGRESQL else "ANALYZE")  # as autovacuum does
    return customers, loaded


def measure(count: int, only: str, *, profiled: bool) -> dict[str, Any]:
    """Load, ask, judge."""
    from benchmarks._pages import Pages  # noqa: PLC0415 - Django must be set up
    from core.clock import now  # noqa: PLC0415 - as above
    from customers import accounts  # noqa: PLC0415 - as above
    from events.models import Session  # noqa: PLC0415 - as above

    at = now()
    customers, loaded = made(count, at)
    newcomer = accounts.create_customer("Newcomer", "free", at=at)
    busiest = customers[0].pk
    names = Session.objects.filter(customer_id=busiest, session_id__startswith="session-")
    reads = questions(busiest, list(names.values_list("session_id", flat=True)), at)
    pages = Pages(customers[0], customers[1], newcomer, at=at).all()
    gc.collect()
    gc.freeze()  # as `kmcloud.wsgi` does: a web process does not carry what loading left behind
    asked = {name: timed(ask) for name, ask in reads.items() if only in name}
    shown = {name: page_figures(ask) for name, ask in pages.items() if only in name}
    if profiled:
        for name in shown:
            profile(name, pages[name])
    return {
        "events": count,
        "loaded_events_per_s": round(loaded),
        "targets_p95_ms": TARGETS_MS,
        "queries": asked,
        "pages": shown,
        "slowest_page_p95_ms": max((taken["p95_ms"] for taken in shown.values()), default=0.0),
        "missed": missed(asked, shown),
    }


def missed(asked: Mapping[str, Mapping[str, float]], shown: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What took longer than its target."""
    slow = [f"query {name}" for name, ms in TARGETS_MS.items() if name in asked and asked[name]["p95_ms"] > ms]
    return slow + [f"page {name}" for name, taken in shown.items() if taken["p95_ms"] > TARGETS_MS["page"]]


def main() -> int:
    """Measure; exit with 1 when a target was missed."""
    parser = argparse.ArgumentParser(prog="scripts/bench queries", description="Pages over two million events.")
    parser.add_argument("--database", choices=[POSTGRESQL, SQLITE], default=POSTGRESQL)
    parser.add_argument("--events", type=int, default=2_000_000, help="how many to load (default 2000000)")
    parser.add_argument("--only", default="", metavar="WORD", help="only reads and pages whose name holds WORD")
    parser.add_argument("--profile", action="store_true", help="print where each page's CPU time goes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="km-bench-") as name, database(options.database, Path(name)) as url:
        set_up(url, Path(name))
        figures = measure(options.events, options.only, profiled=options.profile)
        result = {"benchmark": "queries", **figures}
        result["machine"] = machine() | {"database": version()}
        from django.db import connections  # noqa: PLC0415 - after `set_up`

        connections.close_all()
    print(json.dumps(result))
    return 1 if result["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
