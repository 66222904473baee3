"""What is ClickHouse's alone: days, the keys' lives, the table's versions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from core.clock import now
from events import queries, rollups, sessions, stores
from events.event_ids import DAY, day_of
from events.models import EventKey
from events.store import NewEvent
from events.stores import keys, partitions
from events.stores.clickhouse import connection as http
from events.stores.clickhouse import schema
from tests.events.clickhouses import ON_POSTGRESQL, real_store
from tests.events.samples import uuid_of

pytestmark = pytest.mark.servers
PARTS = re.compile(r"Parts: (\d+)/(\d+)")
KEYS = EventKey._meta.db_table


@pytest.fixture(scope="module", autouse=True)
def server(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """ClickHouse, and PostgreSQL beside it."""
    with django_db_blocker.unblock(), real_store(ON_POSTGRESQL):
        yield


def stored(customer: int, *days_ago: float) -> list[NewEvent]:
    """Events of so many days ago, in the store and counted."""
    new = [an_event_of(customer, days) for days in days_ago]
    insert(new, new)
    return new


def insert(given: list[NewEvent], new: list[NewEvent]) -> None:
    with transaction.atomic():
        assert stores.current().insert(given) == sorted(new, key=lambda event: event.id)
        sessions.add(new)
        rollups.add(new)


def an_event_of(customer: int, days_ago: float) -> NewEvent:
    moment = now() - timedelta(days=days_ago)
    about = (uuid_of(moment), "", moment, "request", "request", "m", "t", "s", 1, None, False, 2)
    return NewEvent(customer, *about, ("git", "1", ""), ("", "", ""), False, False, "{}")


def ids_of(events: list[NewEvent]) -> list[Any]:
    return sorted((event.id for event in events), reverse=True)


def test_a_partition_is_a_day_and_goes_as_a_whole() -> None:
    events = stored(1, 0, 1, 2, 400, 401)
    assert http.writer().rows("SELECT uniqExact(_partition_id) FROM events WHERE customer_id = 1") == [(5,)]
    assert stores.current().drop_before(day_of(now()) - 399 * DAY) == 2
    assert ids_of(events[:3]) == [row.id for row in queries.recent_events(1, limit=9).rows]
    assert stores.current().drop_before(day_of(now()) - 399 * DAY) == 0


def test_a_page_reads_the_days_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    stored(2, *(number / 4 for number in range(120)))
    asked: list[tuple[str, dict[str, Any]]] = []
    rows = http.Server.rows

    def heard(self: http.Server, sql: str, **given: Any) -> list[tuple[Any, ...]]:
        asked.append((sql, given))
        return rows(self, sql, **given)

    monkeypatch.setattr(http.Server, "rows", heard)
    assert len(queries.recent_events(2, limit=5).rows) == 5
    ((sql, given),) = asked
    inner = sql[sql.index("(SELECT id") + 1 : sql.rindex(")")]
    plan = "\n".join(row[0] for row in rows(http.reader(), f"EXPLAIN indexes = 1 {inner}", **given))
    read, there = map(int, PARTS.findall(plan)[0])  # by the ids' bounds of each part
    assert read <= 8  # two or three days, each perhaps in several parts that are not merged yet
    assert there >= 30


def test_keys_lie_in_days_and_go_before_the_events_do() -> None:
    stored(3, 0)
    assert len(partitions.listed(KEYS)) == 1 + 1 + partitions.DAYS_BEHIND + partitions.DAYS_AHEAD
    later = now() + (keys.KEY_DAYS + 2) * DAY
    old = stored(3, 0.5)
    stores.current().prepare(now=later)
    stores.current().prepare(now=later)
    assert stores.current().known(3, [event.id for event in old]) == set()
    assert queries.event(3, old[0].id) is not None
    insert(old, old)  # told as new after that long, and still one
    assert [row.id for row in queries.recent_events(3, limit=9).rows].count(old[0].id) == 1
    stores.current().prepare(now=now())


def test_an_event_that_comes_late_is_known_as_long_as_events_are_kept() -> None:
    late = stored(4, keys.KEY_DAYS + 20)
    stores.current().prepare(now=now())
    insert(late, [])
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {KEYS}_default WHERE customer_id = 4")
        assert cursor.fetchone() == (1,)
    stores.current().drop_before(day_of(now()) - keys.KEY_DAYS * DAY)
    assert stores.current().known(4, [late[0].id]) == set()


def test_a_later_version_alters_the_table_once(monkeypatch: pytest.MonkeyPatch) -> None:
    before = stored(5, 0)
    step = f"ALTER TABLE {schema.TABLE} ADD COLUMN IF NOT EXISTS colour String DEFAULT 'red'"
    monkeypatch.setattr(schema, "STEPS", (*schema.STEPS, step))
    for _ in range(2):
        stores.current().prepare(now=now())
    said = "SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = 'events'"
    assert http.writer().rows(said) == [("kilometers schema 2",)]
    monkeypatch.undo()
    stores.current().prepare(now=now())  # the version of before goes on beside it
    stored(5, 0)
    assert len(queries.recent_events(5, limit=9).rows) == 2
    assert queries.event(5, before[0].id) is not None
