"""From the log to the store, in one transaction: claim, decode, insert, count what is new, delete.

    drain(now=moment)      one transaction's worth  → Drained(rows=3, stored=280, duplicates=20, quarantined=0)

A crash at any instant leaves either the inbox row or its events, never both and never neither. Everything counted
(sessions, rollups, usage) is counted from the rows this transaction inserted, so draining a body twice changes nothing.
A row that cannot be stored is tried again later, by itself, and in the end set aside in quarantine: the others never
wait for it. A database that cannot be reached is nobody's fault, and raises.

The inbox is drained always. What another log brings (`events.logs`) is stored in the same way, with a row of the ledger
(`events.ledger`) where the other has its inbox row: after a crash it is brought again, and known if it was committed. A
batch that cannot be stored becomes an inbox row, and is one from then on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction

from events import inbox, ledger, logs, quarantine, quotas, rollups, sessions, store, stored_hooks, stores
from events.log import Batch, LogUnavailable
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
    """Store the oldest rows that are due, and what the log brings. Raises `OperationalError` or `InterfaceError` when
    the database is away; a log that is away brings nothing."""
    return _drain_inbox(now) + _drain_log(now)


def _drain_inbox(now: datetime) -> Drained:
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


def _drain_log(now: datetime) -> Drained:
    done = Drained()
    try:
        with logs.current().taken() as batches:
            done = _drain_batches(batches, now)
    except LogUnavailable as error:
        _log.info("log_not_drained", error=str(error))  # whoever noticed has warned
    return done


def _drain_batches(batches: Sequence[Batch], now: datetime) -> Drained:
    """All in one transaction, or else each in its own. What returns is in the database."""
    if not batches:
        return Drained()
    try:
        return _store_batches(batches, now)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001 - as in `_drain_inbox`
        _log.warning("drain_failed", rows=len(batches), error=repr(error))
    return sum((_drain_batch_alone(batch, now) for batch in batches), Drained())


def _drain_batch_alone(batch: Batch, now: datetime) -> Drained:
    """A batch that fails becomes a row of the inbox, put off once."""
    try:
        return _store_batches([batch], now)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001 - as above
        with turn(), transaction.atomic():
            for fresh in ledger.enter([batch], now=now):
                quarantine.put_into_inbox(fresh.entry, error, now=now)
        return Drained(rows=1)


def _store_batches(batches: Sequence[Batch], now: datetime) -> Drained:
    """Decoded before the transaction; again in it without those that were drained before, which are rare."""
    digest = _digest([batch.entry for batch in batches])
    with turn(), transaction.atomic():
        fresh = ledger.enter(batches, now=now)
        if len(fresh) < len(batches):
            digest = _digest([batch.entry for batch in fresh])
        return Drained(rows=len(batches) - len(fresh)) + _count(digest)


def _digest(entries: Sequence[InboxEntry]) -> _Digest:
    """Decode `entries`: half of the work, and none that needs the database."""
    events: dict[store.Key, tuple[InboxEntry, store.NewEvent]] = {}
    for entry in entries:
        for event in stored_form(entry):
            events.setdefault(event.key, (entry, event))
    return _Digest(entries, events)


def _store(digest: _Digest) -> Drained:
    """Inside a transaction: everything of `digest`, and the rows themselves deleted."""
    done = _count(digest)
    if digest.entries:
        inbox.remove(digest.entries)
    return done


def _count(digest: _Digest) -> Drained:
    """Inside a transaction: the events of `digest`, and all that is counted of those that are new."""
    if not digest.entries:
        return Drained()
    new = stores.current().insert(event for _, event in digest.events.values())
    sessions.add(new)
    rollups.add(new)
    stored_hooks.stored(new)
    quotas.settle(digest.entries, [(digest.events[event.key][0], event.size) for event in new])
    return Drained(len(digest.entries), len(new), sum(entry.events for entry in digest.entries) - len(new))
