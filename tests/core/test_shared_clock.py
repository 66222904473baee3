"""All processes go by the database's clock, and whoever deletes wants two clocks to agree."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from core import clock, shared_clock
from tests.events.databases import POSTGRESQL, real_database

TWO_DAYS = timedelta(days=2)


@pytest.fixture(scope="module")
def postgresql(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Django's default database is a PostgreSQL, whose clock no test can turn."""
    with django_db_blocker.unblock(), real_database(POSTGRESQL):
        yield


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has not asked yet."""
    monkeypatch.setattr(shared_clock._Last, "reading", None)


@pytest.mark.servers
@pytest.mark.parametrize("off", [TWO_DAYS, -TWO_DAYS])
def test_a_machine_whose_clock_is_off_goes_by_the_database_and_may_not_delete(
    postgresql: None, unread: None, off: timedelta
) -> None:
    right = datetime.now(UTC)
    with time_machine.travel(right + off):
        assert abs(shared_clock.now() - right) < timedelta(minutes=1)
        assert abs(shared_clock.offset() - off) < timedelta(minutes=1)
        with pytest.raises(shared_clock.ClocksDisagree, match="set the clock that is wrong"):
            shared_clock.agreed()


@pytest.mark.servers
def test_a_jump_after_it_was_read_changes_nothing(postgresql: None, unread: None) -> None:
    before = shared_clock.now()
    with time_machine.travel(before + TWO_DAYS):
        assert timedelta() <= shared_clock.now() - before < timedelta(minutes=1)


@pytest.mark.servers
def test_clocks_that_agree_let_old_things_go(postgresql: None, unread: None) -> None:
    assert abs(shared_clock.agreed() - clock.now()) < timedelta(minutes=1)


@pytest.mark.django_db
def test_on_sqlite_it_is_the_machine_s_own(unread: None) -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    with time_machine.travel(moment, tick=False):
        assert shared_clock.now() == shared_clock.agreed() == moment
