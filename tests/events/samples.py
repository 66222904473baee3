"""Events and bodies as clients send them."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.test import Client
from km_protocol.envelope import unix_milliseconds, uuid7

from core import shared_clock
from core.clock import now
from events.drain import Drained, drain
from events.models import InboxEntry

_number = itertools.count()


def uuid_of(moment: datetime) -> UUID:
    """A new id of an event of `moment`, as `km-client` makes it."""
    return uuid7(unix_milliseconds(moment), os.urandom(10))


def an_event(moment: datetime | None = None, **fields: Any) -> dict[str, Any]:
    """One event of a session, as `km-client` sends it."""
    moment = moment or now()
    return {
        "id": str(uuid_of(moment)),
        "timestamp": moment.isoformat(),
        "type": "request",
        "direction": "request",
        "message": {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "git_log"}},
        "session_id": "s1",
        "sequence": next(_number),
        "method": "tools/call",
        "tool": "git_log",
        "server_info": {"name": "git", "version": "1.2.0"},
        "client_info": {"name": "claude", "version": "3"},
    } | fields


def a_call(correlation: str, *, duration_ms: float = 12.5, moment: datetime | None = None, **fields: Any) -> list[Any]:
    """A request and its response."""
    moment = moment or now()
    request = an_event(moment, correlation_id=correlation, **fields)
    answer = {"type": "response", "direction": "response", "message": {"jsonrpc": "2.0", "id": 1, "result": {}}}
    later = moment + timedelta(milliseconds=duration_ms)
    response = an_event(later, correlation_id=correlation, duration_ms=duration_ms, **(answer | fields))
    return [request, response]


def body_of(events: Sequence[Any]) -> bytes:
    return json.dumps({"events": list(events)}).encode()


def drain_everything(*, at: datetime | None = None) -> Drained:
    """What a worker does until nothing is due, by a clock that two readings of it may disagree on by milliseconds."""
    total = Drained()
    while (step := drain(now=at or shared_clock.now() + timedelta(seconds=1))).rows:
        total += step
    return total


def waiting() -> int:
    """Rows in the inbox."""
    return InboxEntry.objects.count()


def await_that(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Return as soon as `condition` holds; fail when it does not within `seconds`. It takes half a core at most."""
    deadline = time.monotonic() + seconds
    asked = time.monotonic()
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(min(max(0.01, time.monotonic() - asked), 0.5))
        asked = time.monotonic()


@dataclass
class Sender:
    """A client with a key."""

    client: Client
    key: str

    def post(self, body: bytes | Sequence[Any] | dict[str, Any], path: str = "", **headers: str) -> Any:
        """Send a body, or events, to `/api/events<path>`."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode() if isinstance(body, dict) else body_of(body)
        return self.client.post(
            f"/api/events{path}",
            body,
            content_type="application/json",
            headers={"Authorization": f"Bearer {self.key}", **headers},
        )

    def get(self, path: str, **parameters: Any) -> Any:
        return self.client.get(path, parameters, headers={"Authorization": f"Bearer {self.key}"})


def code_of(response: Any) -> tuple[int, str]:
    """Status and error code."""
    return response.status_code, json.loads(response.content)["error"]["code"]


def answer_of(response: Any) -> dict[str, Any]:
    """The body of a 200."""
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = json.loads(response.content)
    return answer
