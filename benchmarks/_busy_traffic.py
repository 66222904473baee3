"""The events of `scripts/bench queries`: thirty days of a busy service, with everything in it that makes a page slow.

    busiest    half of all events: sessions of 400 messages, and 100,000 short ones, a tenth of them within two hours;
               one long session holds a message of 5 MB
    widest     a twentieth of them, in calls of 10,000 tools of 40 servers, some called often and most seldom
    others     the rest

Loaded by the service's own store, sessions and rollups, in chunks ten times a drain's. Imported after Django is set up.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from django.db import connection, transaction
from km_protocol.envelope import unix_milliseconds, uuid7

from benchmarks._database import POSTGRESQL
from benchmarks._event_load import SESSION_EVENTS, TOOLS, WORDS
from events import rollups, sessions, stores
from events.store import NewEvent
from events.stores import partitions

DAYS = 30
SHORT_EVENTS = 4  # of a short session
BETWEEN = timedelta(seconds=0.7)  # two messages of a session
LARGE_BYTES = 5 * 1024 * 1024
LARGE_SESSION = "session-large"
LARGE_PLACE = 41  # of the message of `LARGE_BYTES`: among the first that its session's page shows
SERVERS = ("git", "filesystem", "fetch", "memory", "postgres", "browser")
WIDE_SERVERS, WIDE_TOOLS = 40, 10_000
_CHUNK_EVENTS = 50_000
_LATELY = timedelta(hours=2)
_CLIENT = ("bench", "1.0", "")


@dataclass(frozen=True, slots=True)
class _Session:
    """What is to be told of one."""

    begin: datetime
    customer: int
    name: str
    events: int
    server: str
    tools: Sequence[str]


def wide_tool(number: int) -> tuple[str, str]:
    """(server, tool) of the widest customer's tool `number`."""
    return f"gateway-{number % WIDE_SERVERS}", f"tool_{number}"


def load(count: int, customers: Sequence[int], now: datetime) -> float:
    """Store and count `count` events of `customers`, the busiest first, then the widest; how many a second."""
    if connection.vendor == POSTGRESQL:  # those that a month of hourly maintenance would have made
        partitions.make(now - timedelta(days=DAYS), now)
    events, begun = _traffic(count, customers, now), time.perf_counter()
    stored = 0
    while chunk := list(islice(events, _CHUNK_EVENTS)):
        with transaction.atomic():
            new = stores.current().insert(chunk)
            sessions.add(new)
            rollups.add(new)
        stored += len(new)
    return stored / (time.perf_counter() - begun)


def _traffic(count: int, customers: Sequence[int], now: datetime) -> Iterator[NewEvent]:
    chance = random.Random(8318)
    texts = [" ".join(chance.choices(WORDS, k=60)) for _ in range(500)]
    for session in sorted(_sessions(count, customers, now, chance), key=lambda each: each.begin):
        yield from _messages(session, chance, texts)


def _sessions(count: int, customers: Sequence[int], now: datetime, chance: random.Random) -> Iterator[_Session]:
    busiest, widest, *others = customers
    month, longest = timedelta(days=DAYS), BETWEEN * SESSION_EVENTS
    short = count // 5 // SHORT_EVENTS
    yield _Session(now - timedelta(hours=5), busiest, LARGE_SESSION, SESSION_EVENTS, SERVERS[0], TOOLS)
    for number in range(short):
        span = _LATELY if number % 10 == 0 else month
        begin = now - span + (span - BETWEEN * SHORT_EVENTS) * chance.random()
        yield _Session(begin, busiest, f"short-{number}", SHORT_EVENTS, *_of_server(number))
    for number in range(count * 3 // 10 // SESSION_EVENTS):
        begin = now - month + (month - longest) * chance.random()
        yield _Session(begin, busiest, f"session-{number}", SESSION_EVENTS, *_of_server(number))
    for number in range(count // 20 // SESSION_EVENTS):
        begin = now - month + (month - longest) * chance.random()
        server, _ = wide_tool(number)
        tools = [wide_tool(each)[1] for each in range(number % WIDE_SERVERS, WIDE_TOOLS, WIDE_SERVERS)]
        weighted = chance.choices(tools, weights=[1 / (place + 5) for place in range(len(tools))], k=SESSION_EVENTS)
        yield _Session(begin, widest, f"wide-{number}", SESSION_EVENTS, server, weighted)
    for number in range(count * 9 // 20 // SESSION_EVENTS):
        begin = now - month + (month - longest) * chance.random()
        yield _Session(begin, others[number % len(others)], f"other-{number}", SESSION_EVENTS, *_of_server(number))


def _of_server(number: int) -> tuple[str, Sequence[str]]:
    server = SERVERS[number % len(SERVERS)]
    return server, TOOLS if server == "git" else [tool.replace("git", server) for tool in TOOLS]


def _messages(session: _Session, chance: random.Random, texts: Sequence[str]) -> Iterator[NewEvent]:
    party = (session.server, "1.2.0", "")
    for place in range(session.events):
        moment = session.begin + BETWEEN * place
        is_answer, tool = place % 2 == 1, session.tools[place // 2 % len(session.tools)]
        name = "response" if is_answer else "request"
        message = _message(place, is_answer, tool, chance.choice(texts))
        if session.name == LARGE_SESSION and place == LARGE_PLACE:
            message = _message(place, is_answer, tool, "\\n".join(texts) * (LARGE_BYTES // (500 * 300)))
        yield NewEvent(
            customer_id=session.customer,
            id=uuid7(unix_milliseconds(moment), os.urandom(10)),
            correlation_id=f"{session.name}-{place // 2}",
            timestamp=moment,
            type=name,
            direction=name,
            method="tools/call",
            tool=tool,
            session_id=session.name,
            sequence=place,
            duration_ms=chance.lognormvariate(2, 1) if is_answer else None,
            is_error=is_answer and chance.random() < 0.02,
            size=len(message),
            server=party,
            client=_CLIENT,
            is_base64=False,
            truncated=False,
            message=message,
        )


def _message(place: int, is_answer: bool, tool: str, text: str) -> str:
    if is_answer:
        result = f'{{"content":[{{"type":"text","text":"{text}"}}],"isError":false}}'
        return f'{{"jsonrpc":"2.0","id":{place // 2},"result":{result}}}'
    params = f'{{"name":"{tool}","arguments":{{"path":".","text":"{text}"}}}}'
    return f'{{"jsonrpc":"2.0","id":{place // 2},"method":"tools/call","params":{params}}}'
