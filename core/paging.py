"""Cursor paging: a page of rows and the opaque place where the next one starts.

    GET /api/activity?limit=50                → {"events": […], "next": "WyIwMTlhYS4uLiJd"}
    GET /api/activity?limit=50&cursor=WyIw…   → the 50 after those

A cursor is the sort key of the last row shown, so a page stays right while rows are added or expire. It is not
signed: it says where to continue, never whose rows to read; every query is bound to its customer first.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from core.errors import ApiError

Row = TypeVar("Row")

DEFAULT_LIMIT = 50
MAX_LIMIT = 500  # a page a browser can still draw at once
MAX_CURSOR_CHARACTERS = 512  # longer than any sort key of ours


class InvalidCursor(ApiError):
    status, code = 400, "invalid_cursor"


class InvalidLimit(ApiError):
    status, code = 400, "invalid_limit"


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows in order, and the cursor of the next page, `None` on the last one."""

    rows: Sequence[Row]
    next: str | None = None


def paginate(rows: Sequence[Row], limit: int, position: Callable[[Row], Any]) -> Page[Row]:
    """The page made of `rows`, which were read with `limit + 1` so that one more tells whether there is a next page.

    `position(row)` is the row's sort key, as `decode` will give it back.
    """
    if len(rows) <= limit:
        return Page(rows)
    shown = rows[:limit]
    return Page(shown, encode(position(shown[-1])))


def encode(position: Any) -> str:
    """The cursor of `position`: any value msgspec can write as JSON (text, numbers, dates, UUIDs, tuples of them)."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def decode(cursor: str, position: Any) -> Any:
    """What `encode` was given, as a `position` such as `tuple[datetime, str]`. Raises `InvalidCursor`."""
    try:
        if len(cursor) > MAX_CURSOR_CHARACTERS:
            raise ValueError(f"{len(cursor)} characters")
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(text, type=position)
    except (binascii.Error, msgspec.MsgspecError, ValueError, OverflowError) as error:
        raise InvalidCursor(
            "`cursor` is not one this list gave out", "start without `cursor`, then use the `next` of each page"
        ) from error


def parse_limit(text: str | None, *, default: int = DEFAULT_LIMIT, maximum: int = MAX_LIMIT) -> int:
    """The page size a caller asked for. Raises `InvalidLimit` unless it is a whole number from 1 to `maximum`."""
    if text is None or text == "":
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(maximum)) and 1 <= int(text) <= maximum):
        raise InvalidLimit(f"`limit` must be a whole number from 1 to {maximum}", f"leave it out for {default}")
    return int(text)
