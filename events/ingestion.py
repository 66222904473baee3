"""Accepting events: judged at once, durable before the answer, digested later.

    receipt = accept(principal, "events", "zstd", body, now=moment)
    → Receipt(accepted=98, duplicates=1, rejected=[Rejection(index=7, code="invalid_event", …)], used=4_898)

`accepted` are now durable and will be stored. `duplicates` were sent twice in this request or are stored already; the
look-up is a courtesy (what still waits in the inbox is not seen): the store decides again, and for good. A bad event is
rejected by its index, and the others are kept. `accepted + duplicates + len(rejected)` is what was sent.
Raises `ApiError` when nothing was kept, and database errors when nothing could be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from km_protocol.envelope import Event, check_timestamp, message_text, stored_id
from km_protocol.errors import EventError

from customers.authentication import Principal
from events import bodies, formats, inbox
from events.errors import InvalidEvent, UndecodableBody

_NUL_ESCAPE = b"\\u0000"


class Rejection(msgspec.Struct):
    """An event that was not accepted, and why. `id` is blank when none could be read."""

    index: int
    id: str
    code: str
    message: str
    hint: str


class Receipt(msgspec.Struct):
    """What became of a request. `used` counts against the day's quota; `limit` is the quota, `None` for none."""

    accepted: int
    duplicates: int
    rejected: list[Rejection]
    used: int
    limit: int | None


class _Verdict:
    """What was found out about each event of one body."""

    def __init__(self) -> None:
        self.ids: dict[UUID, int] = {}  # stored id → index, of the good ones
        self.repeated: list[int] = []
        self.refused: dict[int, EventError] = {}


def accept(principal: Principal, kind: str, encoding: bodies.Encoding, body: bytes, *, now: datetime) -> Receipt:
    """Judge the events of `body` and make the good ones durable."""
    text = bodies.inflate(body, encoding)
    try:
        decoded = formats.decode(kind, text)
    except EventError as error:
        raise UndecodableBody(str(error), error.hint) from None
    verdict = _judge(decoded, principal.customer_id, now=now, suspicious=_NUL_ESCAPE in text)
    if verdict.refused and formats.is_lone(kind, text):
        refusal = verdict.refused[0]
        raise InvalidEvent(str(refusal), refusal.hint)
    rejected = list(_rejections(verdict, text)) if verdict.refused else []
    draft = inbox.Draft(
        customer_id=principal.customer_id,
        received_at=now,
        kind=kind,
        encoding=encoding,
        body=body,
        ids=verdict.ids,
        left_out=[*verdict.repeated, *verdict.refused],
        repeats=len(verdict.repeated),
        limit=principal.events_per_day,
    )
    kept = inbox.append(draft)
    return Receipt(kept.claim.events, kept.claim.duplicates, rejected, kept.used or 0, kept.claim.limit)


def _judge(decoded: Sequence[Event | EventError], customer_id: int, *, now: datetime, suspicious: bool) -> _Verdict:
    """`suspicious`: the body spells U+0000 somewhere, which no text column of PostgreSQL takes."""
    verdict = _Verdict()
    for index, event in enumerate(decoded):
        if isinstance(event, EventError):
            verdict.refused[index] = event
            continue
        try:
            check_timestamp(event.timestamp, now=now)
            message_text(event)
            if suspicious:
                _check_names(event)
        except EventError as error:
            verdict.refused[index] = error
            continue
        event_id = stored_id(customer_id, event.id, event.timestamp)
        if verdict.ids.setdefault(event_id, index) != index:
            verdict.repeated.append(index)
    return verdict


def _check_names(event: Event) -> None:
    for name, value in _names(event):
        if value and "\0" in value:
            raise EventError(f"`{name}` holds U+0000, which text storage refuses", "leave the character out")


def _names(event: Event) -> Iterator[tuple[str, str | None]]:
    """Every short text of an event that is stored in a column of its own."""
    for name in ("id", "correlation_id", "session_id", "method", "tool"):
        yield name, getattr(event, name)
    for name in ("server_info", "client_info"):
        party = getattr(event, name)
        if party is not None:
            yield from ((f"{name}.{field}", getattr(party, field)) for field in ("name", "version", "title"))


def _rejections(verdict: _Verdict, text: bytes) -> Iterator[Rejection]:
    ids = formats.sent_ids(text, verdict.refused)
    for index, error in sorted(verdict.refused.items()):
        yield Rejection(index, ids.get(index, ""), error.code, str(error), error.hint)
