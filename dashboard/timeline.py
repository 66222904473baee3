"""A session as rows on a page: what each row is called, what state it is in, and what it holds when opened.

    rows(page.rows, started_at=session.started_at, now=moment)

A row is one of: `call` (a request, with its answer, waiting for one, or never answered), `notice` (a notification),
`gap` (the recorder says that it lost something here), `stray` (an answer whose request was not recorded) and `noise`
(a line that is no JSON-RPC message).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Literal
from uuid import UUID

from django.utils.safestring import SafeString

from core.paging import encode
from dashboard import gist
from dashboard.message_view import MessageView, of_preview
from dashboard.templatetags.units import count, size
from events.rows import EventRow, Exchange

GAP_METHOD = "kilometers/recording_gap"
TASK_ENDS = {"tasks/result", "tasks/get"}
STILL_WAITING = timedelta(hours=1)  # the longest answer worth watching for; after that the row says there is none

PLACE = tuple[int, UUID]  # of an exchange in its session: what a cursor holds
IS_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # as the page writes ids

_NO_BAR = SafeString("")
Kind = Literal["call", "notice", "gap", "stray", "noise"]


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One row. `size` is of all its messages, in bytes. `bar` and `idle_ms`, the pause folded before the row, are of a
    row that stands on an axis (`dashboard.waterfall`)."""

    exchange: Exchange
    kind: Kind
    title: str
    gist: gist.Gist
    state: Literal["done", "waiting", "unanswered"]
    duration_ms: float | None
    size: int
    started_at: datetime
    bar: SafeString = _NO_BAR
    idle_ms: float | None = None

    @property
    def id(self) -> UUID:
        return self.exchange.first.id

    @property
    def open_ms(self) -> float:
        """How long the exchange itself took. What ends a task says how long its whole call did."""
        return (_between_ms(self.exchange) if self.exchange.first.method in TASK_ENDS else self.duration_ms) or 0.0

    @property
    def is_bad(self) -> bool:
        """Not every `error` answer is a fault: a declined probe did its work, and the recorder knows which is which."""
        return self.exchange.is_error

    @property
    def from_server(self) -> bool:
        return self.exchange.first.direction == "response"

    @property
    def sides(self) -> list[tuple[str, MessageView]]:
        """(heading, message) of everything the row holds."""
        first = (_HEADINGS[self.kind], of_preview(self.exchange.first))
        return [first, *(_answer_side(answer) for answer in self.exchange.answers)]


_HEADINGS: dict[Kind, str] = {
    "call": "Request",
    "notice": "Notification",
    "gap": "Recording gap",
    "stray": "Response",
    "noise": "Line",
}
_TITLES: dict[Kind, str] = {
    "call": "request",
    "notice": "notification",
    "gap": "Not recorded",
    "stray": "response without a request",
    "noise": "not JSON-RPC",
}


def rows(exchanges: Iterable[Exchange], *, started_at: datetime, now: datetime) -> list[TimelineRow]:
    """The rows of `exchanges`, in their order, as they stand at `now`."""
    return list(map(partial(row, started_at=started_at, now=now), exchanges))


def row(exchange: Exchange, *, started_at: datetime, now: datetime) -> TimelineRow:
    """One exchange as a row."""
    first, kind = exchange.first, _kind(exchange.first)
    return TimelineRow(
        exchange=exchange,
        kind=kind,
        title=_TITLES[kind] if kind in ("gap", "stray", "noise") else first.method or _TITLES[kind],
        gist=_gist(exchange, kind),
        state=_state(exchange, kind, now),
        duration_ms=_duration_ms(exchange),
        size=first.size + sum(answer.size for answer in exchange.answers),
        started_at=started_at,
    )


def place(exchange: Exchange) -> str:
    """The cursor after `exchange`: what `queries.session_exchanges` takes to go on behind it."""
    return encode((exchange.first.sequence, exchange.first.id))


def _kind(first: EventRow) -> Kind:
    if first.method == GAP_METHOD:
        return "gap"
    if first.type == "request":
        return "call"
    if first.type == "notification":
        return "notice" if first.method else "noise"
    return "stray"


def _state(exchange: Exchange, kind: Kind, now: datetime) -> Literal["done", "waiting", "unanswered"]:
    if kind != "call" or exchange.answers:
        return "done"
    return "waiting" if now - exchange.first.timestamp < STILL_WAITING else "unanswered"


def _duration_ms(exchange: Exchange) -> float | None:
    """As the client measured it, else the time between the two messages."""
    return _between_ms(exchange) if exchange.duration_ms is None else exchange.duration_ms


def _between_ms(exchange: Exchange) -> float | None:
    if not exchange.answers:
        return None
    return max(0.0, (exchange.answers[0].timestamp - exchange.first.timestamp) / timedelta(milliseconds=1))


def _gist(exchange: Exchange, kind: Kind) -> gist.Gist:
    first = exchange.first
    if kind == "gap":
        return gist.Gist(said=gap_words(first.message))
    if first.is_base64:
        return gist.Gist(said="bytes that are not UTF-8")
    if kind == "stray":
        return gist.of_answer(first.message)
    opening = gist.of_opening(first.message)
    faults = (gist.of_answer(answer.message).fault for answer in exchange.answers if not answer.is_base64)
    return gist.Gist(said=opening.said, fault=next(filter(None, faults), ""))


def gap_words(message: str) -> str:
    """What a recording gap tells: `12 pieces (3.4 kB) of the stream could not be recorded: disk full`."""
    lost = gist.of_gap(message)
    records, lost_bytes = lost.get("records"), lost.get("bytes")
    what = f"{count(records)} {'piece' if records == 1 else 'pieces'}" if isinstance(records, int) else "something"
    weight = f" ({size(lost_bytes)})" if isinstance(lost_bytes, int) else ""
    reason = str(lost.get("reason", "")).replace("_", " ")
    return f"{what}{weight} of the stream could not be recorded" + (f": {reason}" if reason else "")


def _answer_side(answer: EventRow) -> tuple[str, MessageView]:
    return ("Error response" if answer.type == "error" else "Response", of_preview(answer))
