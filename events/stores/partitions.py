"""The partitions of PostgreSQL's tables of events: one a UTC day, made ahead of time, dropped when nobody keeps it.

    events_event                PARTITION BY RANGE (id)
      events_event_20261122       from the first id of 22 November to the first id of the 23rd
      events_event_default        days that have no partition: events that come very late
      events_event_before         what an installation had before there were partitions, if it did

Ids lead with their event's millisecond, so a day is a range of ids and the primary key (customer, id) dedupes across
partitions. An event always has a place: should nobody have made partitions for weeks, its day's events are in the
default one, and move into their own when it is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from django.db import OperationalError, connection, transaction

from events.event_ids import DAY, day_of, first_id, moment_of
from events.models import Event

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

DAYS_BEHIND = 1  # for what is under way when the table is made
DAYS_AHEAD = 7  # an event may be a day ahead of our clock; the rest is time to notice that nobody makes partitions
LOCK_SECONDS = 3  # what waits for the whole table makes all others wait behind it: rather try again in an hour

_EVENTS = Event._meta.db_table
_MAINTENANCE = 0x6B6D_7061_7274  # "kmpart": the advisory lock of whoever changes the partitions
_END = re.compile(r"TO \('([0-9a-f-]{36})'\)$")
_START = re.compile(r"FROM \('([0-9a-f-]{36})'\)")
_LIST = """
    SELECT part.relname, pg_get_expr(part.relpartbound, part.oid) FROM pg_inherits
    JOIN pg_class AS part ON part.oid = inhrelid WHERE inhparent = to_regclass(%s) ORDER BY part.relname"""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Partition:
    """A table of the events of since ≤ time < until; without either for the default, without `since` for what is
    before all others."""

    name: str
    since: datetime | None
    until: datetime | None


def listed(table: str = _EVENTS) -> list[Partition]:
    """The partitions there are of `table`, by name. None where the table is not partitioned (yet)."""
    with connection.cursor() as cursor:
        cursor.execute(_LIST, [table])
        return [Partition(name, _moment(_START, bounds), _moment(_END, bounds)) for name, bounds in cursor.fetchall()]


def make_ahead(now: datetime, table: str = _EVENTS) -> None:
    """Make what is missing of the days around `now`."""
    today = day_of(now)
    make(today - DAYS_BEHIND * DAY, today + DAYS_AHEAD * DAY, table)


def make(first: datetime, last: datetime, table: str = _EVENTS) -> int:
    """Make what is missing of the days from `first` to `last`, both among them; how many that were.

    Each in a transaction of its own, which holds up only what goes to or comes from the default partition.
    """
    existing = listed(table)
    if not existing:
        return 0  # migrations have not come so far
    begun = max([first, *(part.until for part in existing if part.until and part.since is None)])
    days = {part.since for part in existing}
    missing = [day for day in _days(begun, last) if day not in days]
    for day in missing:
        with _maintenance() as cursor:
            _make(cursor, day, table)
    return len(missing)


def drop_before(day: datetime, table: str = _EVENTS) -> int:
    """Drop the partitions that end at `day` or earlier; how many went. One that is in use stays until the next time."""
    ended = [part for part in listed(table) if part.until is not None and part.until <= day]
    dropped = 0
    for part in ended:
        try:
            with _maintenance() as cursor:
                cursor.execute(f"DROP TABLE IF EXISTS {_quoted(part.name)}")
            dropped += 1
        except OperationalError as error:
            _log.warning("partition_in_use", partition=part.name, error=str(error), effect="tried again in an hour")
    return dropped


def _make(cursor: CursorWrapper, day: datetime, table: str) -> None:
    """A table beside, then attached: `CREATE TABLE … PARTITION OF` would wait for everybody who reads any partition."""
    name, default = f"{table}_{day:%Y%m%d}", f"{table}_default"
    if any(part.name == name for part in listed(table)):
        return  # somebody else was faster
    bounds = (first_id(day), first_id(day + DAY))
    cursor.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING STORAGE INCLUDING COMPRESSION)")
    cursor.execute(f"LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE")
    cursor.execute(
        f"WITH moved AS (DELETE FROM {default} WHERE id >= %s AND id < %s RETURNING *) "  # noqa: S608 - names of ours
        f"INSERT INTO {name} SELECT * FROM moved",
        bounds,
    )
    cursor.execute(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM (%s) TO (%s)", bounds)


@contextmanager
def _maintenance() -> Iterator[CursorWrapper]:
    """A transaction that alone changes partitions, and waits for nobody for long."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_MAINTENANCE])
        yield cursor


def _days(first: datetime, last: datetime) -> Iterator[datetime]:
    day = day_of(first)
    while day <= last:
        yield day
        day += DAY


def _moment(bound: re.Pattern[str], expression: str) -> datetime | None:
    found = bound.search(expression)
    return None if found is None else moment_of(UUID(found[1]))


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)
