"""Cursor paging: every row once whatever happens between pages, and no cursor can break a query."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import paging
from core.paging import InvalidCursor, InvalidLimit


@given(st.lists(st.integers(), unique=True), st.integers(1, 7))
def test_pages_in_a_row_show_every_row_once_in_order(numbers: list[int], limit: int) -> None:
    rows = sorted(numbers)
    page = paging.paginate(rows[: limit + 1], limit, lambda row: row)
    shown = [*page.rows]
    while page.next is not None:
        after = paging.decode(page.next, int)
        rest = [row for row in rows if row > after]
        page = paging.paginate(rest[: limit + 1], limit, lambda row: row)
        shown += page.rows
    assert shown == rows


def test_a_row_that_expires_between_two_pages_costs_no_other_row() -> None:
    first = paging.paginate([1, 2, 3], 2, lambda row: row)
    assert first.next is not None
    after = paging.decode(first.next, int)  # and now 2 is deleted
    assert [row for row in (1, 3, 4) if row > after] == [3, 4]


@given(st.datetimes(timezones=st.just(UTC)), st.uuids(), st.text(max_size=20))
def test_a_cursor_gives_back_the_sort_key_it_was_made_of(moment: datetime, identity: UUID, name: str) -> None:
    position = (moment, identity, name)
    try:
        cursor = paging.encode(position)
    except UnicodeEncodeError:
        return  # a lone surrogate is no sort key
    assert paging.decode(cursor, tuple[datetime, UUID, str]) == position
    assert cursor.isascii() and not set(cursor) & set("+/=&?")


@given(st.text())
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    try:
        paging.decode(text, tuple[int, str])
    except InvalidCursor as refused:
        assert refused.status == 400


@pytest.mark.parametrize("number", [2**63, -1])
def test_a_cursor_can_be_held_to_what_a_column_holds(number: int) -> None:
    with pytest.raises(InvalidCursor):
        paging.decode(paging.encode(number), Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)])


def test_a_cursor_longer_than_any_of_ours_is_refused_unread() -> None:
    with pytest.raises(InvalidCursor):
        paging.decode("A" * 600, str)


@pytest.mark.parametrize(("text", "limit"), [(None, 50), ("", 50), ("1", 1), ("500", 500), ("007", 7)])
def test_a_limit_in_range_is_used(text: str | None, limit: int) -> None:
    assert paging.parse_limit(text) == limit


@pytest.mark.parametrize("text", ["0", "-1", "501", "1e3", "²", "٣", " 5", "9" * 5000])
def test_a_limit_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidLimit, match="500"):
        paging.parse_limit(text)
