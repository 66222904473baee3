"""From the inbox to the store, in one transaction: claim, decode, insert, count what is new, delete.

    drain(now=moment)      one transaction's worth  → Drained(rows=3, stored=280, duplicates=20, quarantined=0)

A crash at any instant leaves either the inbox row or its events, never both and never neither. Everything counted
(sessions, rollups, usage) is counted from the rows this transaction inserted, so draining a body twice changes nothing.
A row that cannot be stored is tried again later, by itself, and in the end set aside in quarantine: the others never
wait for it. A database that cannot be reached is nobody's fault, and raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import InterfaceError, OperationalError, transaction

from events import inbox, quarantine, quotas, rollups, sessions, store
from events.models import InboxEntry
from events.stored_form import stored_form
from events.turns import turn

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Drained:
    """What was done. `rows` is 0 when nothing was due."""

    rows: int = 0
    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0

    def __add__(self, other: Drained) -> Drained:
        return Drained(
            self.rows + other.rows,
            self.stored + other.stored,
            self.duplicates + other.duplicates,
            self.quarantined + other.quarantined,
        )


def drain(*, now: datetime) -> Drained:
    """Store the oldest rows that are due. Raises `OperationalError` or `InterfaceError` when the database is away."""
    entries: list[InboxEntry] = []
    try:
        with turn(), transaction.atomic():
            entries = inbox.claim(now=now)
            return _store(entries) if entries else Drained()
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever a row's content provokes: find out which row it is
        _log.warning("drain_failed", rows=len(entries), error=repr(error))
    return sum((_drain_alone(entry, now) for entry in entries), Drained())


def _drain_alone(entry: InboxEntry, now: datetime) -> Drained:
    """One row in a transaction of its own; a row that fails is put off or set aside."""
    try:
        with turn(), transaction.atomic():
            if not inbox.is_there(entry):
                return Drained()  # another drain was first
            return _store([entry])
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001 - as above
        return Drained(rows=1, quarantined=int(quarantine.put_off(entry, error, now=now)))


def _store(entries: Sequence[InboxEntry]) -> Drained:
    """Inside a transaction: everything of `entries`, and the rows themselves deleted."""
    found: dict[store.Key, tuple[InboxEntry, store.NewEvent]] = {}
    for entry in entries:
        for event in stored_form(entry):
            found.setdefault(event.key, (entry, event))
    added = store.insert([event for _, event in found.values()])
    new = [found[key] for key in sorted(added)]
    sessions.add([event for _, event in new])
    rollups.add([event for _, event in new])
    quotas.settle(entries, [(entry, event.size) for entry, event in new])
    inbox.remove(entries)
    return Drained(len(entries), len(new), sum(entry.events for entry in entries) - len(new))
