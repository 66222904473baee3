"""What `top` remembers: in bounds, open calls that age, and nothing of strangers that a terminal would act on."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from km_client.watching import sources
from km_client.watching.sessions import find, recorded
from km_client.watching.top import columns
from km_client.watching.top.board import KEPT_BYTES, KEPT_CALLS, SPARKS, Board, spark

from tests.client.agent.conftest import Record
from tests.client.agent.recorder import Recorded, answer, call

HOSTILE = "[red]evil\x1b]0;owned\x07\u202e"


@pytest.fixture
def session(record: Record) -> Recorded:
    return record()


def board(*live: str) -> Board:
    made = Board()
    made.take(find(recorded(), "run-1").events(sources.redactor()))
    made.set_live(set(live))
    return made


def test_open_calls_stand_on_top_and_age_until_the_session_ends(session: Recorded) -> None:
    session.request(call("open"))
    session.request(call("done", tool="quick"))
    session.response(answer("done"))
    shown = board("run-1")
    first, second = shown.calls()
    assert (first.status, second.status) == ("open", "ok") and shown.sessions["run-1"].open == 1
    later = first.call.began + timedelta(seconds=9)
    assert first.milliseconds(later) == 9_000 and second.milliseconds(later) == 1.0
    shown.set_live(set())
    assert shown.calls()[0].call.tool == "quick" and shown.sessions["run-1"].open == 0
    row = columns.call(first, later, columns.widths("calls", 80), is_open=False)
    assert "no answer" in [cell.plain for cell in row]


def test_sums_rate_and_errors_are_those_of_the_session(session: Recorded) -> None:
    for number in range(20):
        session.request(call(number))
        session.response(answer(number))
    session.response(b'{"jsonrpc":"2.0","id":99,"error":{"code":-32602,"message":"no such tool"}}\n')
    shown = board("run-1").sessions["run-1"]
    assert (shown.calls, shown.errors, shown.last, shown.server) == (20, 1, "git_log", "git")
    assert (shown.percentile(0.5), shown.percentile(0.95)) == (1.0, 1.0)
    assert shown.rate(shown.seen) == 2.0 and shown.rate(shown.seen + timedelta(seconds=11)) == 0.0


def test_errors_say_what_was_wrong(session: Recorded) -> None:
    session.request(call(1, tool="push"))
    session.response(b'{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no such tool"}}\n')
    session.response(b"Server listening\n")
    first, second = board().mistakes
    assert (first.what, first.words) == ("tools/call push", "-32602 no such tool")
    assert (second.what, second.words) == ("no JSON-RPC", "Server listening")


def test_calls_and_errors_of_all_sessions_stand_in_order_of_time(session: Recorded, record: Record) -> None:
    other, start = record("run-2"), session.now_ns
    for number in range(4):
        one = (session, other)[number % 2]
        one.request(call(number, tool=f"t{number}"), at_ns=start + number * 5_000_000)
        failure = {"jsonrpc": "2.0", "id": number, "error": {"code": 1, "message": "no"}}
        one.response(json.dumps(failure).encode() + b"\n", at_ns=start + number * 5_000_000 + 1)
    shown = Board()
    for run in ("run-1", "run-2"):
        shown.take(find(recorded(), run).events(sources.redactor()))
    assert [each.call.tool for each in shown.calls()] == ["t3", "t2", "t1", "t0"]
    assert [each.what for each in shown.errors()] == [f"tools/call t{number}" for number in (3, 2, 1, 0)]


def test_a_filter_wants_every_word(session: Recorded) -> None:
    for number, tool in enumerate(("git_log", "git_push")):
        session.request(call(number, tool=tool))
        session.response(answer(number))
    shown = board()
    assert [each.call.tool for each in shown.calls("GIT push")] == ["git_push"]
    assert len(shown.calls("git ok")) == 2 and not shown.calls("error")
    assert not shown.calls(session="other") and len(shown.calls(session="run-1")) == 2


def test_everything_is_kept_in_bounds(session: Recorded) -> None:
    for number in range(KEPT_CALLS + 100):
        session.request(call(number))
        session.response(answer(number, "x" * 100))
    session.request(call("big", text="y" * 3_000_000))
    shown = board("run-1")
    assert len(shown.calls()) <= KEPT_CALLS + 1
    big = shown.calls()[0]
    assert len(big.asked) == KEPT_BYTES and len(big.call.first.message) < 10
    assert (big.call.first.size or 0) > 3_000_000


def said_by_a_stranger(session: Recorded) -> None:
    """A client, a tool and an error, each with a name of its own choice."""
    info = {"clientInfo": {"name": HOSTILE}}
    failure = {"code": -1, "message": HOSTILE}
    session.request(json.dumps({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": info}).encode() + b"\n")
    session.request(call(1, tool=HOSTILE * 10))
    session.response(json.dumps({"jsonrpc": "2.0", "id": 1, "error": failure}).encode() + b"\n")


@pytest.mark.parametrize("width", [40, 60, 79, 80, 100, 160])
def test_every_row_fits_and_is_harmless(session: Recorded, width: int) -> None:
    said_by_a_stranger(session)
    shown, now = board("run-1"), datetime.now().astimezone()
    room = {table: columns.widths(table, width) for table in columns.WIDTHS}
    rows = {
        "sessions": columns.session(shown.rows()[0], now, room["sessions"]),
        "calls": columns.call(shown.calls()[-1], now, room["calls"], is_open=True),
        "errors": columns.mistake(shown.mistakes[0], room["errors"]),
    }
    for table, row in rows.items():
        assert len(row) == len(room[table])
        assert all(cell.cell_len < width for cell, width in zip(row, room[table].values(), strict=True))
        assert width < 60 or sum(room[table].values()) <= width - columns.FRAME
        assert not any(char in cell.plain for cell in row for char in "\x1b\x07\u202e")


def test_names_are_no_markup(session: Recorded) -> None:
    said_by_a_stranger(session)
    (last,) = board("run-1").rows()
    cells = columns.session(last, datetime.now().astimezone(), columns.widths("sessions", 160))
    assert cells[1].plain.startswith("[red]evil") and not cells[1].spans


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ""),
        ([0, 0], SPARKS[0] * 2),
        ([0, 1000], SPARKS[0] + SPARKS[-1]),
        ([5, 0, 1000], SPARKS[0] + SPARKS[-1]),
    ],
)
def test_a_spark_line_shows_the_last_values_by_their_magnitude(values: list[float], expected: str) -> None:
    assert spark(values, 2) == expected
