"""One ClickHouse over HTTP: bounded in time, safe for threads, and away when it is away.

    reader().rows("SELECT id FROM events WHERE customer_id = {customer:UInt64}", customer=7)   → [(…,), …]
    writer().insert("events", types, columns)
    writer().run("ALTER TABLE …")

Whatever ClickHouse does not do is `OperationalError`, never the fault of a row: rows have their types before they
leave. So a drain that meets it tries again, and sets nothing aside.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DataError, Error
from django.conf import settings
from django.db import OperationalError
from urllib3.exceptions import HTTPError

from events.stores.clickhouse import schema

CONNECT_SECONDS = 3
PROBE_SECONDS = 1  # a health check waits for it
READ_SECONDS = 8  # a page that takes longer is answered 503
WRITE_SECONDS = 20  # 5,000 events of the largest kind, synced, on a busy server
PORTS = {"http": 8123, "https": 8443}

_ALWAYS = {
    "async_insert": 0,  # an answer means stored, not buffered
    "insert_deduplicate": 0,  # what is new is decided by the keys; rows deleted once may come again
    "max_partitions_per_insert_block": 0,  # a laptop back from a long leave brings many days at once
    "max_partition_size_to_drop": 0,
    "lightweight_deletes_sync": 2,  # a delete that has answered is done
    "do_not_merge_across_partitions_select_final": 1,  # a key is always of the same day
}


class Server:
    """The ClickHouse at `url`, connected to on first use. An answer may take `seconds`."""

    def __init__(self, url: str, seconds: int) -> None:
        self._url, self._seconds = url, seconds
        self._connected: Client | None = None
        self._mutex = threading.Lock()

    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """What a query finds; `{name:Type}` in it is the parameter `name`."""
        with _as_database_errors():
            limits = {"max_execution_time": self._seconds}  # nobody waits for it any longer
            return [*map(tuple, self._client().query(sql, parameters=parameters, settings=limits).result_rows)]

    def run(self, sql: str, **parameters: Any) -> None:
        """Do what a statement says."""
        with _as_database_errors():
            self._client().command(sql, parameters=parameters)

    def insert(self, table: str, types: Mapping[str, str], columns: Sequence[Sequence[Any]]) -> None:
        """Add rows, given by column in the order of `types`, the columns' names and types."""
        with _as_database_errors():
            names, kinds = list(types), list(types.values())
            done = self._client().insert(
                table, columns, column_names=names, column_type_names=kinds, column_oriented=True
            )
        written = done.summary.get("written_rows")  # more than were sent where views of an operator's own follow
        if written is not None and int(written) < len(columns[0]):
            raise OperationalError(f"ClickHouse has written {written} of {len(columns[0])} rows.")

    def connect(self) -> None:
        """Make sure that ClickHouse answers, and that the table is there and up to date."""
        with _as_database_errors():
            schema.bring_up_to_date(self._client())

    def _client(self) -> Client:
        with self._mutex:
            if self._connected is None:
                client = _connect(self._url, self._seconds)
                schema.bring_up_to_date(client)
                self._connected = client
            return self._connected


def prober() -> Server:
    """For whoever only wants to know whether it answers."""
    return _server(settings.CLICKHOUSE_URL, PROBE_SECONDS, os.getpid())


def reader() -> Server:
    """For what a page waits for."""
    return _server(settings.CLICKHOUSE_URL, READ_SECONDS, os.getpid())


def writer() -> Server:
    """For what changes something."""
    return _server(settings.CLICKHOUSE_URL, WRITE_SECONDS, os.getpid())


@cache
def _server(url: str | None, seconds: int, _pid: int) -> Server:
    """`_pid`: a connection is not shared with a child process."""
    if not url:
        raise OperationalError("This process was not given `KM_CLICKHOUSE_URL`.")
    return Server(url, seconds)


def _connect(url: str, seconds: int) -> Client:
    parts = urlsplit(url)
    return clickhouse_connect.get_client(
        interface=parts.scheme,
        host=parts.hostname or "",
        port=parts.port or PORTS[parts.scheme],
        username=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.strip("/")) or "default",
        connect_timeout=min(CONNECT_SECONDS, seconds),
        send_receive_timeout=seconds,
        autogenerate_session_id=False,  # a session takes one query at a time
        client_name="kilometers",
        tz_mode="aware",
        settings=_ALWAYS,
    )


@contextmanager
def _as_database_errors() -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except (Error, HTTPError, OSError) as error:
        raise OperationalError(f"ClickHouse: {error}") from error
