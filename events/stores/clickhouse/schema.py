"""The table of events in ClickHouse, made and brought up to date by whoever comes first.

    bring_up_to_date(client)

The table's comment says which of the `STEPS` it has seen. A later version of this service appends its own, each of
which may run twice: two processes may start at once.

Ids sort by time as numbers (ClickHouse sorts its type UUID by the second half), so a day is a range of ids, a partition
is a day, and the primary key finds a customer's newest events as well as one of them.
"""

from __future__ import annotations

import re

from clickhouse_connect.driver.client import Client

TABLE = "events"
DAY_MILLISECONDS = 86_400_000
COLUMNS = {  # as rows are sent; how each is kept is said below
    "customer_id": "UInt64",
    "id": "UInt128",
    "correlation_id": "String",
    "timestamp": "DateTime64(6, 'UTC')",
    "type": "LowCardinality(String)",
    "direction": "LowCardinality(String)",
    "method": "LowCardinality(String)",
    "tool": "LowCardinality(String)",
    "session_id": "LowCardinality(String)",
    "sequence": "Int64",
    "duration_ms": "Nullable(Float64)",
    "is_error": "Bool",
    "size": "Int64",
    **{
        f"{side}_{part}": "LowCardinality(String)"
        for side in ("server", "client")
        for part in ("name", "version", "title")
    },
    "is_base64": "Bool",
    "truncated": "Bool",
    "message": "String",
}
_CODECS = {"timestamp": "Delta, ZSTD", "sequence": "Delta, ZSTD", "message": "ZSTD(3)"}
_KEPT = ", ".join(f"{name} {kind} CODEC({_CODECS.get(name, 'ZSTD')})" for name, kind in COLUMNS.items())

# 256 rows a granule: pages are some hundred rows, and one event is read with its neighbours. Synced before the answer;
# what a merge has written is synced by the time its sources are removed.
_MADE = f"""
    CREATE TABLE IF NOT EXISTS {TABLE} ({_KEPT})
    ENGINE = ReplacingMergeTree
    PARTITION BY intDiv(toUInt64(bitShiftRight(id, 80)), {DAY_MILLISECONDS})
    ORDER BY (customer_id, id)
    SETTINGS index_granularity = 256, fsync_after_insert = 1, fsync_part_directory = 1
    COMMENT 'kilometers schema 1'"""
STEPS: tuple[str, ...] = (_MADE,)
"""What was done to the schema, in order. `STEPS[0]` makes a table that has seen the first."""

_COMMENT = "SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = {name:String}"
_VERSION = re.compile(r"kilometers schema (\d+)")


def bring_up_to_date(client: Client) -> None:
    """Do what the table has not seen yet. Raises `clickhouse_connect`'s errors."""
    seen = _seen(client)
    for number, step in enumerate(STEPS[seen:], start=seen + 1):
        client.command(step)
        if number > 1:
            client.command(f"ALTER TABLE {TABLE} MODIFY COMMENT 'kilometers schema {number}'")


def _seen(client: Client) -> int:
    """How many steps the table has seen; 0 where there is none."""
    rows = client.query(_COMMENT, parameters={"name": TABLE}).result_rows
    version = _VERSION.search(rows[0][0]) if rows else None
    return int(version[1]) if version else 0
