"""Reading a customer's audit log: a page at a time, filtered, or the whole as JSON Lines.

    page(customer, action="api_key", actor="", cursor=None)    → Page(rows=[AuditEntry, …], next="…")
    export(customer)                                           → b'{"number":1,"at":"2026-…","previous":"00…",…}\\n' …

An exported line has all that its hash is made of, so that anybody can verify it (`customers.audit_chain`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from core import paging
from core.paging import Page
from customers.audit_chain import COLUMNS, READ_AT_ONCE
from customers.models import AuditChain, AuditEntry, Customer

PAGE_SIZE = 50
MAX_FILTER_CHARACTERS = 160
Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]  # what a bigint holds


def page(customer: Customer, *, action: str = "", actor: str = "", cursor: str | None = None) -> Page[AuditEntry]:
    """Entries, newest first, whose action begins with `action` and whose actor contains `actor`.

    Raises `InvalidCursor`.
    """
    rows = AuditEntry.objects.filter(customer_public_id=customer.public_id).order_by("-number")
    if action := _asked(action):
        rows = rows.filter(action__startswith=action)
    if actor := _asked(actor):
        rows = rows.filter(actor__icontains=actor)
    if cursor:
        rows = rows.filter(number__lt=paging.decode(cursor, Number))
    return paging.paginate(list(rows[: PAGE_SIZE + 1]), PAGE_SIZE, lambda entry: entry.number)


def export(customer: Customer) -> Iterator[bytes]:
    """Every entry, oldest first, a line each."""
    rows = AuditEntry.objects.filter(customer_public_id=customer.public_id).order_by("number")
    for row in rows.values(*COLUMNS[1:]).iterator(chunk_size=READ_AT_ONCE):
        row["chain"] = row.pop("customer_public_id")
        row["at"] = row["at"].astimezone(UTC).isoformat(timespec="microseconds")
        yield msgspec.json.encode(row) + b"\n"


def heads(*, at: datetime) -> dict[str, object]:
    """The end of every chain, to be kept elsewhere."""
    ends = AuditChain.objects.order_by("key").values_list("key", "entries", "head")
    return {
        "at": at.astimezone(UTC).isoformat(),
        "heads": [{"chain": key, "entries": entries, "head": head} for key, entries, head in ends],
    }


def _asked(text: str) -> str:
    """What was typed, without what PostgreSQL cannot compare."""
    return text[:MAX_FILTER_CHARACTERS].strip().replace("\0", "")
