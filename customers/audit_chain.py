"""The audit log's hash chains: each entry holds the hash of the one before it, so that none is changed unnoticed.

    hash = SHA-256(canonical JSON of {"v": 1, "chain", "number", "previous", "at", "actor", "action", "subject",
                                      "details"})

There is one chain for each customer, and one, named "", of what concerns no customer. Numbers begin at 1 and have no
gap; the first entry's `previous` is 64 zeros. `AuditChain` holds how many entries there are and the last one's hash;
its row is locked while an entry is added, so that two writers make one chain and not a fork.

Whoever can write to the database could compute a whole new chain: against that, export the heads now and then and keep
them elsewhere. A chain in which an exported head is still found has not been rewritten before it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from km_protocol import canonical
from km_protocol.canonical import MAX_INTEGER

VERSION = 1
GENESIS = "0" * 64
READ_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Fault:
    """Where a chain breaks first. `entry` is the row's id in the database, `None` where the row is gone."""

    chain: str
    number: int
    entry: int | None
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verifying one chain found: unbroken with so many entries up to `head`, or `fault`."""

    chain: str
    entries: int
    head: str
    fault: Fault | None = None


def plain(details: Mapping[str, Any]) -> dict[str, Any]:
    """`details` as they are stored: what canonical JSON has no spelling for becomes text."""
    kept: dict[str, Any] = json.loads(json.dumps(details), parse_float=str, parse_int=_whole)
    return kept


def hash_of(entry: Mapping[str, Any]) -> str:
    """The hash, in hex, of an entry given by its columns' names and values."""
    at: datetime = entry["at"]
    signed = {
        "v": VERSION,
        "chain": entry["customer_public_id"],
        "number": entry["number"],
        "previous": entry["previous"],
        "at": at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": entry["actor"],
        "action": entry["action"],
        "subject": entry["subject"],
        "details": plain(entry["details"]),
    }
    return hashlib.sha256(canonical.dumps(signed)).hexdigest()


COLUMNS = ("id", "number", "previous", "hash", "customer_public_id", "at", "actor", "action", "subject", "details")


def verify(chain: str, *, known: tuple[int, str] | None = None) -> Verdict:
    """Read the whole chain and recompute it; `known` is the number and hash of an entry, kept elsewhere before.

    Entries that are added meanwhile are read too.
    """
    number, head = 0, GENESIS
    while True:
        end, last = _head(chain)
        for row in _rows(chain, after=number, to=end):
            fault = _fault(chain, row, number + 1, head, known)
            if fault:
                return Verdict(chain, number, head, fault)
            number, head = row["number"], row["hash"]
        if fault := _end_fault(chain, number, head, end, last, known):
            return Verdict(chain, number, head, fault)
        beyond = next(_rows(chain, after=end, to=None), None)
        if beyond is None:
            return Verdict(chain, number, head)
        if _head(chain) == (end, last):
            why = "it was not added by this program: the chain ends before it"
            return Verdict(chain, number, head, Fault(chain, beyond["number"], beyond["id"], why))


def verify_all(known: Mapping[str, tuple[int, str]] | None = None) -> Iterator[Verdict]:
    """Every chain there is, or was when `known` was exported."""
    from customers.models import AuditChain, AuditEntry  # noqa: PLC0415 - a migration uses this module without the models

    names = set(AuditChain.objects.values_list("key", flat=True)) | set(known or {})
    names |= set(AuditEntry.objects.order_by().values_list("customer_public_id", flat=True).distinct())
    for name in sorted(names):
        yield verify(name, known=(known or {}).get(name))


def _fault(
    chain: str, row: Mapping[str, Any], number: int, previous: str, known: tuple[int, str] | None
) -> Fault | None:
    why = ""
    if row["number"] != number:
        why = "it is not part of the chain" if row["number"] < number else f"entry {number} before it is gone"
    elif row["previous"] != previous:
        why = "the entry before it is another one than when it was written"
    elif row["hash"] != hash_of(row):
        why = "it was changed after it was written"
    elif known and known[0] == number and known[1] != row["hash"]:
        why = "the exported head says otherwise: the chain was rewritten up to here"
    return Fault(chain, row["number"], row["id"], why) if why else None


def _end_fault(chain: str, number: int, head: str, end: int, last: str, known: tuple[int, str] | None) -> Fault | None:
    if number < end:
        return Fault(chain, number + 1, None, "it is gone: the chain is longer")
    if head != last:
        return Fault(chain, number, None, "the chain's recorded end is another one")
    if known and known[0] > number:
        return Fault(chain, number + 1, None, f"it is gone: an exported head has {known[0]} entries")
    return None


def _head(chain: str) -> tuple[int, str]:
    from customers.models import AuditChain  # noqa: PLC0415 - as above

    row = AuditChain.objects.filter(key=chain).values_list("entries", "head").first()
    return row or (0, GENESIS)


def _rows(chain: str, *, after: int, to: int | None) -> Iterator[dict[str, Any]]:
    """In order. Those without a number come first of all: they never belonged."""
    from customers.models import AuditEntry  # noqa: PLC0415 - as above

    rows = AuditEntry.objects.filter(customer_public_id=chain).order_by("number", "id")
    rows = rows.filter(number__gt=after) if after else rows
    rows = rows if to is None else rows.filter(number__lte=to)
    found: Iterator[dict[str, Any]] = rows.values(*COLUMNS).iterator(chunk_size=READ_AT_ONCE)
    return found


def _whole(text: str) -> int | str:
    return int(text) if len(text) < 17 and abs(int(text)) <= MAX_INTEGER else text
