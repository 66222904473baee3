"""Events as a file, streamed: the whole of what a filter finds, however much that is, in the memory of one page.

    csv     a head and a row an event, for a spreadsheet
    jsonl   an object a line, for a program

Newest first, each with its whole message. What a spreadsheet would run as a formula gets an apostrophe before it
(OWASP, CSV injection): the file is made of words that agents and servers chose.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import msgspec
import structlog

from core.paging import Page
from dashboard import download
from events import queries
from events.rows import EventRow
from events.store import EventFilter

FORMATS = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
COLUMNS = (
    *("id", "timestamp", "type", "direction", "method", "tool", "session_id", "sequence", "correlation_id"),
    *("duration_ms", "is_error", "size", "truncated", "server_name", "server_version", "client_name"),
    *("client_version", "message_encoding", "message"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

_log = structlog.get_logger(__name__)


def stream(customer_id: int, only: EventFilter, form: str) -> Iterator[bytes]:
    """The file, piece by piece. `form` is a key of `FORMATS`."""
    rows, is_whole = 0, False

    def pieces() -> Iterator[bytes]:
        nonlocal rows
        encode = _ENCODERS[form]
        if form == "csv":
            yield _csv([COLUMNS])
        for row in download.every(partial(_page, customer_id, only), customer_id):
            yield encode(_values(row))
            rows += 1

    try:
        yield from download.chunks(pieces())
        is_whole = True
    finally:
        _log.info("events_exported", events=rows, form=form, is_whole=is_whole)


def _page(customer_id: int, only: EventFilter, after: str | None) -> Page[EventRow]:
    return queries.recent_events(customer_id, after=after, limit=download.PAGE_EVENTS, only=only)


def _values(row: EventRow) -> tuple[Any, ...]:
    """In the order of `COLUMNS`."""
    return (
        *(str(row.id), row.timestamp.isoformat(), row.type, row.direction, row.method, row.tool, row.session_id),
        *(row.sequence, row.correlation_id, row.duration_ms, row.is_error, row.size, row.truncated),
        *(row.server.name, row.server.version, row.client.name, row.client.version),
        *("base64" if row.is_base64 else "text", row.message),
    )


def _csv(rows: Iterable[Iterable[Any]]) -> bytes:
    """RFC 4180."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _csv_row(values: tuple[Any, ...]) -> bytes:
    return _csv([[_harmless(value) if isinstance(value, str) else value for value in values]])


def _harmless(text: str) -> str:
    """`text` as no spreadsheet takes for a formula; spaces before one do not make it harmless."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def _json_line(values: tuple[Any, ...]) -> bytes:
    return msgspec.json.encode(dict(zip(COLUMNS, values, strict=True))) + b"\n"


_ENCODERS: dict[str, Callable[[tuple[Any, ...]], bytes]] = {"csv": _csv_row, "jsonl": _json_line}
