"""Which answer belongs to which call, what ends one, and how calls are drawn."""

from __future__ import annotations

import json

import pytest
from km_client.capture.exchanges import MESSAGE, METHOD, NOTE, Entry, encode
from km_client.watching import sources, waterfall
from km_client.watching.calls import Call, Pairing, failure_words
from km_client.watching.sessions import find, recorded
from km_client.watching.tally import Tally, percentile

from tests.client.agent.conftest import Record
from tests.client.agent.recorder import Recorded, answer, call


def line(**members: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **members}).encode() + b"\n"


def calls() -> tuple[list[Call], Pairing, Tally]:
    pairing, tally, found = Pairing(), Tally(with_tokens=True), {}
    for event in find(recorded(), "run-1").events(sources.redactor()):
        tally.take(event)
        if one := pairing.take(event):
            found[id(one)] = one
    return list(found.values()), pairing, tally


@pytest.fixture
def session(record: Record) -> Recorded:
    return record()


def test_the_same_id_both_ways_is_two_calls(session: Recorded) -> None:
    session.request(call(1))
    session.response(line(id=1, method="sampling/createMessage", params={}))
    session.request(line(id=1, result={}))
    session.response(answer(1))
    found, pairing, tally = calls()
    assert [(one.name, one.from_client, one.status) for one in found] == [
        ("tools/call git_log", True, "ok"),
        ("sampling/createMessage", False, "ok"),
    ]
    assert not list(pairing.open)
    assert (tally.calls, tally.events, len(tally.durations)) == (1, 4, 1)


def test_a_call_without_an_answer_is_open_and_one_without_a_request_still_counts(session: Recorded) -> None:
    session.request(call(1))
    session.response(line(id=9, error={"code": -32000, "message": "nobody asked"}))
    found, pairing, tally = calls()
    assert [one.status for one in found] == ["open", "ERROR"]
    assert list(pairing.open) == [found[0]]
    assert (tally.calls, tally.errors) == (1, 1)


def test_two_who_ask_for_the_result_of_one_task_are_two_calls(session: Recorded) -> None:
    session.request(call(1))
    session.response(line(id=1, result={"task": {"taskId": "t", "status": "working"}}))
    for number in (2, 3):
        session.request(line(id=number, method="tasks/result", params={"taskId": "t"}))
    session.response(answer(3))
    found, pairing, _ = calls()
    assert [(one.method, one.status) for one in found] == [
        ("tools/call", "ok"),
        ("tasks/result", "open"),
        ("tasks/result", "ok"),
    ]
    assert list(pairing.open) == [found[1]]
    pairing.forget(found[1])
    assert not list(pairing.open)


def test_a_failure_that_is_nested_too_deeply_has_no_words_and_harms_nobody(session: Recorded) -> None:
    session.request(call(1))
    session.response(
        b'{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no","data":%b%b}}' % (b"[" * 900, b"]" * 900)
    )
    session.end()
    (found,), *_ = calls()
    depth = 0

    def deeper() -> tuple[str, str]:
        nonlocal depth
        depth += 1
        assert found.answer
        return failure_words(found.answer) if depth > 200 else deeper()

    assert found.answer and failure_words(found.answer)[0] == "-1" and deeper() == ("", "")


@pytest.mark.parametrize("who", ["request", "response"])
def test_a_subscription_that_either_side_ends_is_open_no_more(session: Recorded, who: str) -> None:
    session.request(line(id="l", method="subscriptions/listen", params={}))
    getattr(session, who)(line(method="notifications/cancelled", params={"requestId": "l"}))
    (found,), pairing, _ = calls()
    assert (found.status, found.duration_ms, list(pairing.open)) == ("cancelled", None, [])


def test_a_subscription_over_http_ends_with_its_stream(record: Record) -> None:
    session = record(version=2, transport="http")
    listen = line(id=1, method="subscriptions/listen", params={})
    session.request(encode(Entry(MESSAGE, 7, 7, len(listen), listen)))
    note = line(method=METHOD, params={"problem": "the client closed the connection"})
    session.response(encode(Entry(NOTE, 7, 7, len(note), note)))
    (found,), pairing, _ = calls()
    assert (found.status, list(pairing.open)) == ("cancelled", [])


def test_what_was_cancelled_has_ended_and_takes_its_late_answer(session: Recorded) -> None:
    session.request(call(1))
    session.request(line(method="notifications/cancelled", params={"requestId": 1}))
    (one,), pairing, _ = calls()
    assert (one.status, one.notices, one.duration_ms) == ("cancelled", 1, 1.0)
    assert not list(pairing.open)
    session.response(answer(1))
    (one,), _, _ = calls()
    assert one.answer is not None and one.status == "cancelled"


def test_an_exchange_that_asks_for_input_is_a_call_for_each_of_its_requests(session: Recorded) -> None:
    session.request(call(1))
    session.response(line(id=1, result={"resultType": "input_required", "requestState": "s"}))
    session.request(
        line(id=2, method="tools/call", params={"name": "git_log", "arguments": {}, "requestState": "s"}),
    )
    session.response(answer(2))
    found, _, _ = calls()
    assert [one.status for one in found] == ["ok", "ok"]
    assert found[0].first.correlation_id == found[1].first.correlation_id


def test_a_tally_knows_who_talked_and_what_it_cost(session: Recorded) -> None:
    session.request(line(id=0, method="initialize", params={"clientInfo": {"name": "cursor", "version": "2"}}))
    session.response(line(id=0, result={"serverInfo": {"name": "git-server", "version": "7"}}))
    for number in range(1, 11):
        session.request(call(number, text="word " * 100))
        session.response(answer(number, "word " * 50))
    _, _, tally = calls()
    assert (tally.server, tally.server_title, tally.server_version) == ("git", "git-server", "7")
    assert (tally.client, tally.client_version) == ("cursor", "2")
    assert tally.tokens and tally.tokens > 1_000
    assert (tally.percentile(0.5), tally.percentile(0.95)) == (1.0, 1.0)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 5.0), (0.95, 10.0), (1.0, 10.0), (0.01, 1.0)])
def test_percentiles_are_of_the_nearest_rank(share: float, expected: float) -> None:
    assert percentile([float(number) for number in range(10, 0, -1)], share) == expected
    assert percentile([], share) is None


HOSTILE = "evil\x1b]0;owned\x07\x1b[2J\u202e"


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 120, 250])
def test_no_row_is_wider_than_the_terminal_and_none_reaches_it_raw(session: Recorded, columns: int) -> None:
    session.request(call(1, tool=HOSTILE * 3))
    session.response(line(id=1, error={"code": -1, "message": HOSTILE * 40}))
    session.request(call(2), at_ns=session.now_ns + 40_000_000_000)
    session.response(answer(2, "x" * 5_000_000))
    rows = list(waterfall.rows(calls()[0], columns))
    assert all(len(row) <= max(columns, 60) for row in rows)
    assert not any(char in row for row in rows for char in "\x1b\x07\u202e")
    assert any("idle 40.0 s" in row for row in rows) and any("5.0 MB" in row for row in rows)
    assert any("ERROR" in row for row in rows)


def test_bars_stand_where_the_calls_were(session: Recorded) -> None:
    start = session.now_ns
    for number, (begin, end) in enumerate([(0, 100), (100, 200), (100, 150)]):
        session.request(call(number), at_ns=start + begin * 1_000_000)
        session.response(answer(number), at_ns=start + end * 1_000_000)
    first, second, third = (row.rstrip() for row in waterfall.rows(calls()[0], 120, fill="#"))
    assert first.index("#") < second.index("#") == third.index("#")
    assert abs(first.count("#") - second.count("#")) <= 1
    assert abs(third.count("#") - second.count("#") / 2) <= 1
    assert len(second) >= len(first) + first.count("#") - 1
