"""A waterfall of invented exchanges, one of each kind, for the page of components."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from km_protocol.envelope import Party

from dashboard import session_page, timeline, waterfall
from dashboard.session_page import Batch
from events.rows import EventRow, Exchange

_NOBODY = Party()


def sample(at: datetime) -> Batch:
    """A batch as it stands at `at`."""
    began = at - timedelta(hours=10, seconds=3)
    exchanges = [
        _call(1, began, "initialize", took=31),
        _call(2, began + timedelta(milliseconds=40), "tools/call", tool="git_log", took=330),
        _call(3, began + timedelta(milliseconds=90), "sampling/createMessage", by="response", took=140),
        Exchange(_event(4, began + timedelta(milliseconds=200), "notification", "notifications/progress", "response")),
        _call(5, at - timedelta(seconds=2), "tools/call", tool="run_tests", took=700, is_error=True),
        Exchange(_event(6, at - timedelta(seconds=1), "request", "tools/call", tool="slow")),
    ]
    axis, rows = waterfall.bars(timeline.rows(exchanges, started_at=began, now=at))
    return Batch(rows, axis, session_page.figures(rows), None, None, "#")


def _call(
    number: int, at: datetime, method: str, *, took: float, by: str = "request", tool: str = "", is_error: bool = False
) -> Exchange:
    answer = _event(10 + number, at, "response", method, "response" if by == "request" else "request", tool, took)
    answer = replace(answer, is_error=is_error)
    return Exchange(_event(number, at, "request", method, by, tool), (answer,))


def _event(
    number: int,
    at: datetime,
    kind: str,
    method: str,
    direction: str = "request",
    tool: str = "",
    took: float | None = None,
) -> EventRow:
    return EventRow(
        id=UUID(int=number),
        timestamp=at,
        type=kind,
        direction=direction,
        method=method,
        tool=tool,
        session_id="sample",
        sequence=number,
        correlation_id="",
        duration_ms=took,
        is_error=False,
        size=180,
        is_base64=False,
        truncated=False,
        server=_NOBODY,
        client=_NOBODY,
        message='{"params":{"n":3}}',
        is_whole=True,
    )
