"""A made-up week of Acme's sessions: the events a client's agent would send, taken in and drained as the service does.

    week(customer, until=moment)    about 6,000 events of six servers; the same ones for the same moment

The story: `postgres` begins to refuse connections 38 minutes before the end; `files` changes what `read_file` says of
itself, with characters that nobody sees; the last session has a long search and answers that overlap.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

import msgspec
from django.db.models import F
from km_protocol.envelope import unix_milliseconds, uuid7

from customers.models import Customer
from events.drain import drain
from events.models import DailyUsage, InboxEntry
from scripts.demo_servers import CLIENTS, POISON, REFUSED, SERVERS, Server

SEED = 8318
DAYS = 7
TROUBLE = timedelta(minutes=38)  # how long before the end `postgres` begins to fail
CHANGE = timedelta(hours=3)  # and `files` changed a definition


@dataclass
class Session:
    """One recorded session."""

    id: str
    started_at: datetime
    server: Server
    client: Mapping[str, str]
    sent: list[dict[str, Any]] = field(default_factory=list)
    clock: timedelta = timedelta()

    def ask(self, method: str, params: Any, answer: Any, took_ms: float, **more: Any) -> None:
        """A request and its answer, `took_ms` later; the session goes on from there."""
        asked = self.request(method, params, **more)
        self.clock += timedelta(milliseconds=took_ms)
        self.answer(asked, answer, took_ms)

    def request(self, method: str, params: Any, *, tool: str | None = None) -> dict[str, Any]:
        event = self._event("request", "request", {"method": method, "params": params, "id": len(self.sent) + 1})
        event |= {"method": method, "correlation_id": event["id"]} | ({"tool": tool} if tool else {})
        return event

    def answer(self, asked: Mapping[str, Any], answer: Any, took_ms: float) -> None:
        failed = "code" in answer
        body = {"id": asked["message"]["id"], "error" if failed else "result": answer}
        event = self._event("error" if failed else "response", "response", body)
        same = {key: asked[key] for key in ("method", "tool", "correlation_id") if key in asked}
        wrong = failed or bool(answer.get("isError"))
        event |= same | {"duration_ms": took_ms, "is_error": wrong}

    def tell(self, method: str, by: str = "request") -> None:
        """A notification, by the client (`request`) or the server (`response`)."""
        event = self._event("notification", by, {"method": method})
        event["method"] = method

    def wait(self, seconds: float) -> None:
        self.clock += timedelta(seconds=seconds)

    def _event(self, kind: str, direction: str, message: dict[str, Any]) -> dict[str, Any]:
        self.clock += timedelta(milliseconds=1)
        moment = self.started_at + self.clock
        mark = hashlib.blake2b(f"{self.id}\0{len(self.sent)}".encode()).digest()
        event = {
            "id": str(uuid7(unix_milliseconds(moment), mark)),
            "timestamp": moment.isoformat(),
            "type": kind,
            "direction": direction,
            "message": {"jsonrpc": "2.0", **message},
            "session_id": self.id,
            "sequence": len(self.sent) + 1,
            "size": len(json.dumps(message)) + 17,
            "server_info": self.server.info(),
            "client_info": dict(self.client),
        }
        self.sent.append(event)
        return event


def week(customer: Customer, *, until: datetime) -> None:
    """Store a week that ends at `until`."""
    random = Random(SEED)
    for started_at in _beginnings(random, until):
        _store(customer, _session(random, started_at, until))
    for client, minutes in zip(CLIENTS, (44, 31, 17), strict=True):
        _store(customer, _refused(random, until - timedelta(minutes=minutes), until, client))
    _store(customer, _last(random, until - timedelta(minutes=4)))
    while drain(now=until).rows:
        continue
    DailyUsage.objects.filter(customer_id=customer.pk).update(accepted=F("stored"))


def _beginnings(random: Random, until: datetime) -> Iterator[datetime]:
    """When sessions begin: on working days more than on others, by day more than at night."""
    for hours in range(DAYS * 24, 0, -1):
        begin = until - timedelta(hours=hours)
        busy = (7 <= begin.hour < 18) * (1.0 if begin.weekday() < 5 else 0.25)
        for _ in range(int(busy * 3 + random.random() * 1.2)):
            yield begin + timedelta(minutes=random.uniform(0, 56))


def _session(random: Random, started_at: datetime, until: datetime) -> Session:
    server = random.choices(SERVERS, [each.share for each in SERVERS])[0]
    made = Session(f"{random.getrandbits(128):032x}", started_at, server, random.choice(CLIENTS))
    _open(made, {"read_file": POISON} if server.name == "files" and started_at > until - CHANGE else {})
    for _ in range(random.randint(6, 26)):
        if made.started_at + made.clock > until - timedelta(minutes=1):
            break
        _call(random, made, until)
        made.wait(random.expovariate(1 / 9))
    return made


def _refused(random: Random, started_at: datetime, until: datetime, client: Mapping[str, str]) -> Session:
    """A session with `postgres` for the whole of its trouble."""
    made = Session(f"{random.getrandbits(128):032x}", started_at, SERVERS[2], client)
    _open(made, {})
    while made.started_at + made.clock < until - timedelta(minutes=2):
        _call(random, made, until)
        made.wait(random.expovariate(1 / 40))
    return made


def _open(session: Session, changed: Mapping[str, str]) -> None:
    version = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}}
    hello = version | {"clientInfo": dict(session.client)}
    session.ask("initialize", hello, version | {"serverInfo": session.server.info()}, 41)
    session.tell("notifications/initialized")
    session.ask("tools/list", {}, {"tools": session.server.listed(changed)}, 7)


def _call(random: Random, session: Session, until: datetime) -> None:
    tool, (_, arguments, usual) = random.choice(list(session.server.tools.items()))
    took = usual * random.lognormvariate(0, 0.45)
    if random.random() < 0.02:
        took *= 9  # a long tail, as everywhere
    answer: dict[str, Any] = {"content": [{"type": "text", "text": _said(random)}]}
    if session.server.name == "postgres" and session.started_at + session.clock > until - TROUBLE:
        answer, took = (REFUSED, 5_003.0) if random.random() < 0.7 else (answer, took * 6)
    elif random.random() < 0.015:
        answer = {"content": [{"type": "text", "text": f"{tool}: no such path"}], "isError": True}
    params = {"name": tool, "arguments": arguments}
    session.ask("tools/call", params, answer, round(took, 1), tool=tool)


def _said(random: Random) -> str:
    lines = [f"joint_{number}: torque {random.uniform(18, 44):.1f} Nm" for number in range(1, random.randint(2, 9))]
    return "\n".join(lines)


def _last(random: Random, started_at: datetime) -> Session:
    """The session of the pictures: answers that overlap, a failed call, a pause, a search that is still under way."""
    session = Session(f"{random.getrandbits(128):032x}", started_at, SERVERS[3], CLIENTS[0])
    _open(session, {})
    for number, took in enumerate((412.0, 655.0, 388.0)):
        session.wait(0.3 + number / 4)
        _overlapping(session, took)
    session.wait(1.1)
    limited = {"content": [{"type": "text", "text": "API rate limit exceeded for user 4127; retry in 48 s"}]}
    session.ask(*_issue("search_issues"), limited | {"isError": True}, 231.0, tool="search_issues")
    session.wait(48)
    session.ask(
        *_issue("search_issues"), {"content": [{"type": "text", "text": "3 issues"}]}, 702.0, tool="search_issues"
    )
    session.tell("notifications/progress", by="response")
    session.ask(
        *_issue("create_issue"), {"content": [{"type": "text", "text": "acme/arm#431"}]}, 934.0, tool="create_issue"
    )
    session.wait(2)
    session.request(*_issue("get_pull_request"), tool="get_pull_request")
    return session


def _overlapping(session: Session, took_ms: float) -> None:
    """Two calls of which the second is asked before the first is answered."""
    asked: Sequence[dict[str, Any]] = [
        session.request(*_issue(tool), tool=tool) for tool in ("get_pull_request", "search_issues")
    ]
    for number, each in enumerate(asked):
        session.wait(took_ms / (1_000 if not number else 2_000))
        text = {"content": [{"type": "text", "text": "#412 Limit torque of joint 3 · open · 2 approvals"}]}
        session.answer(each, text, took_ms * (1 if not number else 1.5))


def _issue(tool: str) -> tuple[str, dict[str, Any]]:
    return "tools/call", {"name": tool, "arguments": SERVERS[3].tools[tool][1]}


def _store(customer: Customer, session: Session) -> None:
    moment = session.started_at + session.clock
    body = msgspec.json.encode({"events": session.sent})
    InboxEntry.objects.create(
        customer_id=customer.pk, received_at=moment, kind=InboxEntry.Kind.EVENTS, events=len(session.sent),
        retry_at=moment, body=body,
    )  # fmt: skip
