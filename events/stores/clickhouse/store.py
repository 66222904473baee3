"""`EventStore` over ClickHouse: keys in the relational database, rows here. See the package."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import OperationalError
from km_protocol.envelope import unix_milliseconds

from core.paging import Page, decode, encode, paginate
from events.event_ids import DAY, ids_between, moment_of
from events.rows import EventRow, Exchange, Measure
from events.store import EventFilter, NewEvent
from events.stores import days, keys, relational
from events.stores.clickhouse import questions
from events.stores.clickhouse.connection import prober, writer
from events.stores.clickhouse.questions import IN_SEQUENCE, NEWEST, Rows, of_customer, with_ids
from events.stores.clickhouse.schema import COLUMNS, DAY_MILLISECONDS, TABLE
from events.stores.relational import place

_PARTITIONS = f"SELECT DISTINCT toUInt64(partition) FROM system.parts WHERE database = currentDatabase() AND table = '{TABLE}' AND active"  # noqa: E501,S608
_NOWHERE = (UUID(int=0), UUID(int=0))
_log = structlog.get_logger(__name__)


class ClickhouseStore:
    """See the package. One insert is one part for each day, which ClickHouse merges: few large ones are its liking."""

    claimed_rows = 1_000
    claimed_events = 5_000

    def insert(self, events: Iterable[NewEvent]) -> list[NewEvent]:
        """Store what is not stored yet; those of `events` that were new."""
        new = keys.insert(events)
        if new:
            writer().insert(TABLE, COLUMNS, _columns(new))
        return new

    def known(self, customer_id: int, ids: Iterable[UUID]) -> set[UUID]:
        """Those of `ids` whose keys are there: asked while events are accepted, so not of ClickHouse."""
        return keys.known(customer_id, ids)

    def event(self, customer_id: int, event_id: UUID) -> EventRow | None:
        """One event with its whole message."""
        return questions.event(of_customer(customer_id).where("id = {id:UInt128}", id=event_id.int))

    def session_events(self, customer_id: int, session_id: str, *, after: str | None, limit: int) -> Page[EventRow]:
        """A session's events in the order they happened."""
        found = _after(_session(customer_id, session_id), after)
        return paginate(questions.ordered(found, IN_SEQUENCE, limit + 1), limit, place)

    def session_exchanges(self, customer_id: int, session_id: str, *, after: str | None, limit: int) -> Page[Exchange]:
        """A session's messages, every answer folded into its request."""
        session = _session(customer_id, session_id)
        page = paginate(questions.openings(session, _after(session, after), limit + 1), limit, place)
        return Page(_folded(session, page.rows), page.next)

    def exchanges(self, customer_id: int, session_id: str, ids: Iterable[UUID]) -> list[Exchange]:
        """The exchanges of a session that the events `ids` begin."""
        of_session = {"session": session_id}
        begun = with_ids(customer_id, set(ids)).where("session_id = {session:String}", **of_session)
        return _folded(_session(customer_id, session_id), questions.ordered(begun, IN_SEQUENCE))

    def session_tail(self, customer_id: int, session_id: str, *, last: int) -> str | None:
        """The cursor behind which a session's `last` events lie; `None` when it has no more than those."""
        found = questions.place_from_end(_session(customer_id, session_id), last)
        return None if found is None else encode(found)

    def recent_events(self, customer_id: int, *, after: str | None, limit: int, only: EventFilter) -> Page[EventRow]:
        """A customer's events, newest first; a filter looks at `relational.MAX_SCANNED` of them."""
        below = None if after is None else decode(after, UUID)
        is_filtered = only != EventFilter(since=only.since, until=only.until)
        ends = [moment for moment in (only.until, below and moment_of(below)) if moment is not None]
        wanted = (relational.MAX_SCANNED if is_filtered else limit) + 1
        lowest = days.lowest_of_newest(customer_id, min(ends, default=None), wanted)
        if lowest is None:
            return Page([], None)
        found = questions.within(of_customer(customer_id).from_id(lowest), only, below)
        if not is_filtered:
            return paginate(questions.ordered(found, NEWEST, limit + 1), limit, lambda row: row.id)
        floor = questions.nth_newest(found, relational.MAX_SCANNED)
        scanned = found if floor is None else found.where("id > {floor:UInt128}", floor=floor.int)
        rows = questions.ordered(questions.narrowed(scanned, only), NEWEST, limit + 1)
        page = paginate(rows, limit, lambda row: row.id)
        if page.next is None and floor is not None:
            return Page(page.rows, encode(UUID(int=floor.int + 1)))
        return page

    def minutes(
        self, customer_id: int, *, since: datetime, until: datetime, most: int, timed: bool = True
    ) -> list[Measure]:
        """Counted by ClickHouse, a row for each minute, server, method and tool."""
        found = questions.within(of_customer(customer_id), EventFilter(since=since, until=until), None)
        return list(map(relational.measure, questions.minutes(found, most, timed=timed)))

    def answers(self) -> bool:
        """Whether ClickHouse says anything."""
        try:
            return bool(prober().rows("SELECT 1"))
        except OperationalError:
            return False

    def prepare(self, *, now: datetime) -> None:
        """Room for the keys; and the table, unless ClickHouse is away: then whoever uses it first makes it."""
        keys.prepare(now=now)
        try:
            writer().connect()
        except OperationalError as error:
            _log.warning("clickhouse_away", error=str(error), effect="events wait in the inbox")

    def delete_day(self, customer_id: int, day: datetime, *, most: int) -> int:  # noqa: ARG002
        """Delete a customer's events of one UTC day, all at once: a delete costs the same however many it is of."""
        since, end = ids_between(day, day + DAY)
        of_day = of_customer(customer_id).from_id(since).below(end)
        of_day = of_day.where("toUnixTimestamp64Micro(timestamp) >= {from:Int64}", **{"from": _microseconds(day)})
        of_day = of_day.where("toUnixTimestamp64Micro(timestamp) < {to:Int64}", to=_microseconds(day + DAY))
        counted = writer().rows(f"SELECT count() FROM {TABLE} FINAL WHERE {of_day.sql}", **of_day.values)  # noqa: S608
        count = int(counted[0][0])
        if count:
            writer().run(f"DELETE FROM {TABLE} WHERE {of_day.sql}", **of_day.values)  # noqa: S608
        return count

    def drop_before(self, day: datetime) -> int:
        """Drop the partitions of before `day`, and the keys that lie in none of their own."""
        keys.drop_before(day)
        number = unix_milliseconds(day) // DAY_MILLISECONDS
        ended = sorted(row[0] for row in writer().rows(_PARTITIONS) if row[0] < number)
        for partition in ended:
            writer().run(f"ALTER TABLE {TABLE} DROP PARTITION ID '{partition}'")
        return len(ended)


def _columns(events: Sequence[NewEvent]) -> list[Sequence[Any]]:
    """The values of `events` by column, in the order of `schema.COLUMNS`."""
    by_name: dict[str, Sequence[Any]] = dict(zip(NewEvent._fields, zip(*events, strict=True), strict=True))
    by_name["id"] = [event.id.int for event in events]
    for side in ("server", "client"):
        parts = zip(*by_name[side], strict=True)
        by_name |= dict(zip((f"{side}_name", f"{side}_version", f"{side}_title"), parts, strict=True))
    return [by_name[name] for name in COLUMNS]


def _session(customer_id: int, session_id: str) -> Rows:
    lowest, end = days.span_of(customer_id, session_id) or _NOWHERE
    found = of_customer(customer_id).from_id(lowest).below(end)
    return found.where("session_id = {session:String}", session=session_id)


def _after(found: Rows, after: str | None) -> Rows:
    if after is None:
        return found
    sequence, event_id = decode(after, tuple[int, UUID])
    later = "(sequence, id) > ({after_sequence:Int64}, {after_id:UInt128})"
    return found.where(later, after_sequence=sequence, after_id=event_id.int)


def _folded(session: Rows, openings: Sequence[EventRow]) -> list[Exchange]:
    asked = relational.correlations(openings)
    if not asked:
        return relational.folded(openings, ())
    same = session.where("correlation_id IN {asked:Array(String)}", asked=sorted(asked))
    return relational.folded(openings, questions.ordered(same, IN_SEQUENCE))


def _microseconds(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp()) * 1_000_000  # a day's beginning: whole seconds
