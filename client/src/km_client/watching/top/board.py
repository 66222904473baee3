"""What `top` shows, without a screen: events go in, rows come out. Pure but for the moments that are given to it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from km_protocol.envelope import Event

from km_client.agent.events import GAP_METHOD
from km_client.output import printable
from km_client.watching.calls import Call, Pairing, content, failed, failure_words
from km_client.watching.tally import percentile

RATE_SECONDS = 10.0
KEPT_DURATIONS = 1_000  # of a session: what p95 is of
KEPT_CALLS = 500
KEPT_ERRORS = 200
KEPT_SESSIONS = 200
KEPT_LATENCIES = 240  # more than any terminal has columns
KEPT_BYTES = 16 * 1024  # of a message, for its details
SPARKS = "▁▂▃▄▅▆▇█"


class Shown:
    """A call on the board. `asked` and `answered` are the beginnings of its messages."""

    def __init__(self, call: Call, number: int) -> None:
        self.call = call
        self.number = number
        self.asked = self.answered = b""

    def look(self, event: Event) -> None:
        """Keep the beginning of what was said, and let the rest go."""
        if event.type == "request":
            self.asked = content(event)[:KEPT_BYTES]
        elif event.type in ("response", "error"):
            self.answered = content(event)[:KEPT_BYTES]
        self.call.forget_contents()

    @property
    def server(self) -> str:
        info = self.call.first.server_info
        return info.name if info else ""

    @property
    def status(self) -> str:
        return self.call.status

    def milliseconds(self, now: datetime) -> float:
        """How long it took, or has taken so far."""
        if self.status != "open":
            return self.call.duration_ms or 0.0
        return max(0.0, (now - self.call.began) / timedelta(milliseconds=1))

    def matches(self, words: str) -> bool:
        return _has(words, self.server, self.call.name, self.call.first.session_id or "", self.status)


class Mistake(NamedTuple):
    """One line of the error pane."""

    at: datetime
    server: str
    what: str
    words: str

    def matches(self, words: str) -> bool:
        return _has(words, self.server, self.what, self.words)


class Watched:
    """One session."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.server = self.client = self.last = ""
        self.calls = self.errors = self.open = 0
        self.durations: deque[float] = deque(maxlen=KEPT_DURATIONS)
        self.asked: deque[datetime] = deque(maxlen=10_000)
        self.is_live = False
        self.seen = datetime.min

    def rate(self, now: datetime) -> float:
        """Calls a second over the last ten."""
        since = now - timedelta(seconds=RATE_SECONDS)
        while self.asked and self.asked[0] < since:
            self.asked.popleft()
        return len(self.asked) / RATE_SECONDS

    def percentile(self, share: float) -> float | None:
        return percentile(list(self.durations), share)

    def matches(self, words: str) -> bool:
        return _has(words, self.server, self.client, self.session_id, self.last)


class Board:
    """Everything that is remembered, each in bounds."""

    def __init__(self) -> None:
        self.sessions: dict[str, Watched] = {}
        self.mistakes: deque[Mistake] = deque(maxlen=KEPT_ERRORS)
        self.latencies: deque[float] = deque(maxlen=KEPT_LATENCIES)
        self._pairing = Pairing()
        self._calls: dict[int, Shown] = {}
        self._numbers = 0

    def take(self, events: Iterable[Event]) -> None:
        for event in events:
            self._take(event)
        self._forget()

    def set_live(self, live: set[str]) -> None:
        """Which sessions run. What was open in one that ended is not open any more."""
        for session in self.sessions.values():
            session.is_live, session.open = session.session_id in live, 0
        for shown in self._calls.values():
            if self.is_open(shown):
                self.sessions[shown.call.first.session_id or ""].open += 1

    def calls(self, words: str = "", *, session: str = "") -> list[Shown]:
        """Open ones first, the oldest of them on top; then the others, newest first."""
        wanted = [
            shown
            for shown in self._calls.values()
            if shown.matches(words) and session in ("", shown.call.first.session_id)
        ]
        wanted.sort(key=lambda shown: (shown.call.began, shown.number))  # a poll brings one session after the other
        is_open = [shown for shown in wanted if self.is_open(shown)]
        return is_open + [shown for shown in reversed(wanted) if not self.is_open(shown)]

    def errors(self, words: str = "") -> list[Mistake]:
        """Newest first."""
        wanted = [mistake for mistake in self.mistakes if mistake.matches(words)]
        return sorted(wanted, key=lambda mistake: mistake.at, reverse=True)

    def is_open(self, shown: Shown) -> bool:
        session = self.sessions.get(shown.call.first.session_id or "")
        return shown.status == "open" and session is not None and session.is_live

    def rows(self, words: str = "") -> list[Watched]:
        """Live sessions first, then those that spoke last."""
        wanted = [session for session in self.sessions.values() if session.matches(words)]
        return sorted(wanted, key=lambda session: (not session.is_live, -session.seen.timestamp()))

    def _take(self, event: Event) -> None:
        session = self.sessions.setdefault(event.session_id or "", Watched(event.session_id or ""))
        session.seen = event.timestamp
        if event.server_info:
            session.server = event.server_info.name
        if event.client_info:
            session.client = event.client_info.title or event.client_info.name
        if event.type == "request" and event.direction == "request":
            session.calls += 1
            session.asked.append(event.timestamp)
            session.last = event.tool or event.method or ""
        if event.duration_ms is not None and event.direction == "response":
            session.durations.append(event.duration_ms)
            self.latencies.append(event.duration_ms)
        if failed(event):
            session.errors += 1
            self.mistakes.append(_mistake(event, session))
        self._pair(event)

    def _pair(self, event: Event) -> None:
        call = self._pairing.take(event)
        if call is None:
            return
        shown = self._calls.get(id(call))
        if shown is None:
            self._numbers += 1
            shown = self._calls[id(call)] = Shown(call, self._numbers)
        shown.look(event)

    def _forget(self) -> None:
        closed = [number for number, shown in self._calls.items() if not self.is_open(shown)]
        for number in closed[: max(0, len(closed) - KEPT_CALLS)]:
            self._pairing.forget(self._calls.pop(number).call)
        while len(self.sessions) > KEPT_SESSIONS:
            del self.sessions[min(self.sessions, key=lambda name: self.sessions[name].seen)]


def _has(words: str, *said: str) -> bool:
    """Whether every one of `words` is somewhere in what was said."""
    text = " ".join(said).lower()
    return all(word in text for word in words.lower().split())


def spark(values: Iterable[float], columns: int) -> str:
    """The last values as bars of eight heights by their logarithm: latencies differ by powers of ten."""
    kept = [math.log1p(value) for value in values][-columns:] if columns > 0 else []
    top = max(kept, default=0.0)
    return "".join(SPARKS[min(7, int(value / top * 7.999))] if top else SPARKS[0] for value in kept)


def _mistake(event: Event, session: Watched) -> Mistake:
    if event.method == GAP_METHOD:
        return Mistake(event.timestamp, session.server, "not recorded", content(event)[:200].decode(errors="replace"))
    if event.type == "notification":
        words = content(event)[:200].decode(errors="replace")
        return Mistake(event.timestamp, session.server, event.method or "no JSON-RPC", words)
    what = " ".join(filter(None, (event.method, event.tool)))
    return Mistake(event.timestamp, session.server, what, printable(" ".join(filter(None, failure_words(event)))))
