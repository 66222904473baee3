"""Recorded traffic for tests: events as the client's agent sends them, taken in and drained as the service does.

    talk = Talk("s-1", started_at=moment)
    asked = talk.request("tools/call", {"name": "git_log", "arguments": {}}, tool="git_log")
    talk.answer(asked, {"content": []}, after_ms=12)
    talk.store(customer)            # in a test of views
    talk.post(url, api_key)         # in a test with a running service

Nothing is written to the event tables here: a body goes into the inbox, and the real drain makes rows of it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import requests
from km_protocol.envelope import unix_milliseconds, uuid7

from customers.models import Customer
from events.drain import drain
from events.models import InboxEntry

GIT = {"name": "mcp-server-git", "version": "1.2.0", "title": "Git"}
CLAUDE = {"name": "claude-code", "version": "2.1.0", "title": "Claude Code"}


@dataclass
class Talk:
    """One session being recorded. Every message is a millisecond after the one before unless told otherwise."""

    session_id: str
    started_at: datetime
    server: dict[str, str] = field(default_factory=lambda: dict(GIT))
    client: dict[str, str] = field(default_factory=lambda: dict(CLAUDE))
    sequence: int = 0
    clock: timedelta = timedelta()
    waiting: list[dict[str, Any]] = field(default_factory=list)

    def request(
        self, method: str, params: Any = None, *, tool: str | None = None, by: str = "client"
    ) -> dict[str, Any]:
        """Something is asked; the event, to answer it by."""
        message = {"jsonrpc": "2.0", "id": self.sequence + 1, "method": method, "params": params or {}}
        event = self._event("request", by, message, method=method, tool=tool)
        event["correlation_id"] = event["id"]
        return event

    def answer(
        self,
        asked: dict[str, Any],
        result: Any = None,
        *,
        error: Any = None,
        after_ms: float = 3,
        is_error: bool = False,
    ) -> dict[str, Any]:
        """What was asked is answered by the other side."""
        self.clock += timedelta(milliseconds=after_ms)
        by = "server" if asked["direction"] == "request" else "client"
        outcome = {"error": error} if error else {"result": {} if result is None else result}
        message = {"jsonrpc": "2.0", "id": asked["sequence"], **outcome}
        return self._event(
            "error" if error else "response",
            by,
            message,
            method=asked["method"],
            tool=asked.get("tool"),
            correlation_id=asked["id"],
            duration_ms=after_ms,
            is_error=bool(error) or is_error,
        )

    def notify(self, method: str, params: Any = None, *, by: str = "server") -> dict[str, Any]:
        """One side says something nobody answers."""
        return self._event(
            "notification", by, {"jsonrpc": "2.0", "method": method, "params": params or {}}, method=method
        )

    def gap(self, reason: str, records: int, lost: int) -> dict[str, Any]:
        """The recorder says what it lost."""
        method = "kilometers/recording_gap"
        return self._event(
            "notification", "server", {"reason": reason, "records": records, "bytes": lost}, method=method
        )

    def line(self, content: bytes, *, by: str = "server") -> dict[str, Any]:
        """A line that is no JSON-RPC: text, or base64 when it is not UTF-8."""
        try:
            text, encoding = content.decode(), "text"
        except UnicodeDecodeError:
            text, encoding = base64.b64encode(content).decode(), "base64"
        event = self._event("notification", by, text, is_error=True)
        event.update(message_encoding=encoding, size=len(content))
        return event

    def store(self, customer: Customer) -> None:
        """Put what was said since the last time into the inbox, and drain it."""
        moment = self.started_at + self.clock
        InboxEntry.objects.create(
            customer_id=customer.pk,
            received_at=moment,
            kind=InboxEntry.Kind.EVENTS,
            events=len(self.waiting),
            retry_at=moment,
            body=self.take(),
        )
        while drain(now=moment).rows:
            continue

    def post(self, url: str, api_key: str) -> None:
        """Send what was said since the last time to a running service, and have it acknowledged."""
        answer = requests.post(
            f"{url}/api/events", data=self.take(), headers={"Authorization": f"Bearer {api_key}"}, timeout=10
        )
        assert answer.status_code == 200, answer.text

    def take(self) -> bytes:
        """The body for what was said since the last time."""
        body = msgspec.json.encode({"events": self.waiting})
        self.waiting = []
        return body

    def _event(self, kind: str, by: str, message: Any, **more: Any) -> dict[str, Any]:
        self.sequence += 1
        self.clock += timedelta(milliseconds=1)
        moment = self.started_at + self.clock
        event = {
            "id": str(event_id(self.session_id, self.sequence, moment)),
            "timestamp": moment.isoformat(),
            "type": kind,
            "direction": "request" if by == "client" else "response",
            "message": message,
            "session_id": self.session_id,
            "sequence": self.sequence,
            "size": len(json.dumps(message)),
            "server_info": self.server,
            "client_info": self.client,
            **{name: value for name, value in more.items() if value is not None},
        }
        self.waiting.append(event)
        return event


def event_id(session_id: str, sequence: int, moment: datetime) -> UUID:
    """An id that is the same in every run of a test."""
    return uuid7(unix_milliseconds(moment), hashlib.blake2b(f"{session_id}\0{sequence}".encode()).digest())
