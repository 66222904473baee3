"""Which store is in use is a setting, and one that cannot be is refused at start."""

from __future__ import annotations

from pytest_django.fixtures import Settings

from events import checks, stores
from events.stores.postgresql import PostgresqlStore
from events.stores.sqlite import SqliteStore


def test_the_database_chooses_by_default(db: None) -> None:
    assert isinstance(stores.current(), SqliteStore)
    assert checks.store_can_be_found() == []


def test_a_store_is_named_by_its_path(settings: Settings) -> None:
    settings.EVENT_STORE = "events.stores.postgresql.PostgresqlStore"
    assert isinstance(stores.current(), PostgresqlStore)
    assert checks.store_can_be_found() == []


def test_a_store_that_is_none_is_refused_at_start(settings: Settings) -> None:
    settings.EVENT_STORE = "events.stores.papyrus.PapyrusStore"
    (message,) = checks.store_can_be_found()
    assert (message.id, "papyrus" in message.msg) == ("events.E002", True)
