"""Which store is in use is a setting, and one that cannot be is refused at start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pytest_django.fixtures import Settings

from events import checks, stores
from events.stores.clickhouse.store import ClickhouseStore
from events.stores.postgresql import PostgresqlStore
from events.stores.sqlite import SqliteStore

ROOT = Path(__file__).resolve().parents[2]


def test_the_database_chooses_by_default(db: None) -> None:
    assert isinstance(stores.current(), SqliteStore)
    assert checks.store_can_be_found() == []


def test_a_store_is_named_by_its_path(settings: Settings) -> None:
    settings.EVENT_STORE = "events.stores.postgresql.PostgresqlStore"
    assert isinstance(stores.current(), PostgresqlStore)
    assert checks.store_can_be_found() == []


def test_clickhouse_is_named_by_its_name_and_needs_an_address(settings: Settings) -> None:
    settings.EVENT_STORE, settings.CLICKHOUSE_URL = "clickhouse", "https://km:secret@clickhouse.example.org/events"
    assert isinstance(stores.current(), ClickhouseStore)
    assert checks.store_can_be_found() == checks.clickhouse_has_an_address() == []
    assert [message.id for message in checks.clickhouse_stands_beside_postgresql()] == ["events.W003"]
    for wrong in ("", "clickhouse.example.org:8443", "tcp://clickhouse.example.org"):
        settings.CLICKHOUSE_URL = wrong
        assert [message.id for message in checks.clickhouse_has_an_address()] == ["events.E004"]
    settings.CLICKHOUSE_URL = None  # a process that builds plugins
    assert checks.clickhouse_has_an_address() == []


def test_who_keeps_events_elsewhere_never_loads_clickhouse() -> None:
    code = "import django; django.setup(); import kmcloud.worker, kmcloud.urls; import sys; "
    code += "from events import stores; stores.current(); sys.exit('clickhouse_connect' in sys.modules)"
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "kmcloud.settings"}
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=False).returncode == 0


def test_a_store_that_is_none_is_refused_at_start(settings: Settings) -> None:
    settings.EVENT_STORE = "events.stores.papyrus.PapyrusStore"
    (message,) = checks.store_can_be_found()
    assert (message.id, "papyrus" in message.msg) == ("events.E002", True)
