"""From the inbox to the store, in one transaction: claim, decode, insert, count what is new, delete.

    drain(now=moment)      one transaction's worth  → Drained(rows=3, stored=280, duplicates=20, quarantined=0)

A crash at any instant leaves either the inbox row or its events, never both and never neither. Everything counted
(sessions, rollups, usage) is counted from the rows this transaction inserted, so draining a body twice changes nothing.
A row that cannot be stored is tried again later, by itself, and in the end set aside in quarantine: the others never
wait for it. A database that cannot be reached is nobody's fault, and raises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction

from events import inbox, quarantine, quotas, rollups, sessions, store, stored_hooks, stores
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


@dataclass(frozen=True, slots=True)
class _Digest:
    """What inbox rows come to: their events, each once, and the row that brought it."""

    entries: Sequence[InboxEntry]
    events: Mapping[store.Key, tuple[InboxEntry, store.NewEvent]]


def drain(*, now: datetime) -> Drained:
    """Store the oldest rows that are due. Raises `OperationalError` or `InterfaceError` when the database is away."""
    entries: list[InboxEntry] = []
    try:
        if connection.features.has_select_for_update_skip_locked:
            with transaction.atomic():
                entries = inbox.claim(now=now)
                return _store(_digest(entries))
        entries = inbox.claim(now=now)
        return _store_in_turn(_digest(entries))
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever a row's content provokes: find out which row it is
        _log.warning("drain_failed", rows=len(entries), error=repr(error))
    return sum((_drain_alone(entry, now) for entry in entries), Drained())


def _drain_alone(entry: InboxEntry, now: datetime) -> Drained:
    """One row in a transaction of its own; a row that fails is put off or set aside."""
    try:
        return _store_in_turn(_digest([entry]))
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001 - as above
        return Drained(rows=1, quarantined=int(quarantine.put_off(entry, error, now=now)))


def _store_in_turn(digest: _Digest) -> Drained:
    """For rows that nothing has held while they were decoded: others write meanwhile, and may have drained them too."""
    if not digest.entries:
        return Drained()
    with turn(), transaction.atomic():
        if inbox.are_there(digest.entries):
            return _store(digest)
    return Drained(rows=len(digest.entries))


def _digest(entries: Sequence[InboxEntry]) -> _Digest:
    """Decode `entries`: half of the work, and none that needs the database."""
    events: dict[store.Key, tuple[InboxEntry, store.NewEvent]] = {}
    for entry in entries:
        for event in stored_form(entry):
            events.setdefault(event.key, (entry, event))
    return _Digest(entries, events)


def _store(digest: _Digest) -> Drained:
    """Inside a transaction: everything of `digest`, and the rows themselves deleted."""
    if not digest.entries:
        return Drained()
    new = stores.current().insert(event for _, event in digest.events.values())
    sessions.add(new)
    rollups.add(new)
    stored_hooks.stored(new)
    quotas.settle(digest.entries, [(digest.events[event.key][0], event.size) for event in new])
    inbox.remove(digest.entries)
    return Drained(len(digest.entries), len(new), sum(entry.events for entry in digest.entries) - len(new))
