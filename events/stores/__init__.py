"""Where events are kept, by setting: `KM_EVENT_STORE`.

    current()      → the `events.store.EventStore` of this installation

`database`, the default, is the database of `KM_DATABASE_URL`: SQLite or PostgreSQL, each with its own class, because
what makes each fast differs. `clickhouse` is the ClickHouse of `KM_CLICKHOUSE_URL`, beside that database. Any other
value is the dotted path of a class that keeps what `EventStore` promises.
"""

from __future__ import annotations

from functools import cache

from django.conf import settings
from django.db import connection
from django.utils.module_loading import import_string

from events.store import EventStore

DATABASE = "database"
CLICKHOUSE = "clickhouse"
NAMED = {CLICKHOUSE: "events.stores.clickhouse.store.ClickhouseStore"}
BY_VENDOR = {"sqlite": "events.stores.sqlite.SqliteStore", "postgresql": "events.stores.postgresql.PostgresqlStore"}


def current() -> EventStore:
    """The store in use. Raises `ImportError` for a setting that names none: `manage.py check` says so at start."""
    named = settings.EVENT_STORE
    return _made(path_of(named))


def path_of(named: str) -> str:
    """The dotted path of the class that a value of the setting names."""
    return BY_VENDOR[connection.vendor] if named == DATABASE else NAMED.get(named, named)


@cache
def _made(path: str) -> EventStore:
    store: EventStore = import_string(path)()
    return store
