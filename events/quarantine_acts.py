"""What an operator does with a quarantined request: look at how it begins, put it back, give it up. All of it audited.

    beginning(entry)                                          → Beginning(text='{"events": [{"id": "01…', whole=False)
    look(entry, actor="user:ops", at=moment)                  the same, on record: it is a customer's message
    redrive([3, 4], actor="user:ops", at=moment)              → 2
    give_up(entry, "a client that no longer exists", …)       deleted, with the reason in the customer's audit log

A body is inflated as far as it is shown and no further; what is no text, and what would move a cursor, stands as `�`.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import zstandard
from django.db import transaction

from core.errors import InvalidRequest, NotFound
from customers import audit
from customers.models import Customer
from events import quarantine
from events.models import QuarantinedEntry

SHOWN_BYTES = 2_000  # enough to see who sent what, and little of what was said
MAX_REASON_CHARACTERS = 500
_GZIP = 31  # zlib's window bits for a gzip container with the largest window


class Beginning(NamedTuple):
    """`text` is for people. `fault` says why the body could not be inflated; then the text is of the body as it is."""

    text: str
    whole: bool
    fault: str = ""


def beginning(entry: QuarantinedEntry) -> Beginning:
    """The first `SHOWN_BYTES` of what was sent."""
    body, fault = bytes(entry.body), ""
    try:
        start = _inflated(body, entry.encoding)
    except (zlib.error, zstandard.ZstdError) as error:
        start, fault = body[: SHOWN_BYTES + 1], f"it is not {entry.encoding}: {error}"
    text = start[:SHOWN_BYTES].decode("utf-8", errors="replace")
    shown = "".join(one if one.isprintable() or one in "\n\t" else "�" for one in text)
    return Beginning(shown, len(start) <= SHOWN_BYTES, fault)


def look(entry: QuarantinedEntry, *, actor: str, at: datetime) -> Beginning:
    """`beginning`, with an entry in the customer's audit log."""
    _record("quarantine.looked_at", entry, actor, at)
    return beginning(entry)


def redrive(ids: Iterable[int], *, actor: str, at: datetime) -> int:
    """Put rows back into the inbox. Returns how many there were."""
    with transaction.atomic():
        rows = list(QuarantinedEntry.objects.select_for_update().filter(pk__in=list(ids)).order_by("id").defer("body"))
        for row in rows:
            _record("quarantine.redriven", row, actor, at)
        return quarantine.redrive([row.pk for row in rows], now=at)


def give_up(entry: QuarantinedEntry, reason: str, *, actor: str, at: datetime) -> None:
    """Delete it: its events, which the customer's client believes stored, never will be. Raises `InvalidRequest`,
    `NotFound` when somebody else was faster."""
    reason = reason.strip()
    if not 1 <= len(reason) <= MAX_REASON_CHARACTERS:
        raise InvalidRequest(
            f"a reason has 1 to {MAX_REASON_CHARACTERS} characters", "the customer's audit log keeps it"
        )
    with transaction.atomic():
        if not QuarantinedEntry.objects.filter(pk=entry.pk).delete()[0]:
            raise NotFound("this request is in quarantine no more", "somebody put it back or deleted it")
        _record("quarantine.deleted", entry, actor, at, reason=reason, error=entry.error[:MAX_REASON_CHARACTERS])


def _inflated(body: bytes, encoding: str) -> bytes:
    """One byte more than is shown, if there is one."""
    if encoding == "gzip":
        return zlib.decompressobj(wbits=_GZIP).decompress(body, SHOWN_BYTES + 1)
    if encoding == "zstd":
        with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(body)) as stream:
            return stream.read(SHOWN_BYTES + 1)
    return body[: SHOWN_BYTES + 1]


def _record(action: str, entry: QuarantinedEntry, actor: str, at: datetime, **details: str) -> None:
    customer = Customer.objects.filter(pk=entry.customer_id).first()
    received = entry.received_at.isoformat()
    audit.record(
        action,
        subject=f"quarantine:{entry.pk}",
        at=at,
        actor=actor,
        customer=customer,
        events=entry.events,
        received_at=received,
        **details,
    )
