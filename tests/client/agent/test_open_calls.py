"""What is open is remembered for as long as it takes, and in bounded room."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from km_client.agent import open_calls
from km_client.agent.correlation import Conversation, Exchange, Relation

from tests.client.agent.talk import Talk, call


@pytest.fixture
def talk() -> Talk:
    return Talk()


def test_progress_belongs_to_the_call_whose_token_it_names_whichever_way_it_travels(talk: Talk) -> None:
    talk.client(**call(1, "build", _meta={"progressToken": "p"}))
    talk.server(id=1, method="sampling/createMessage", params={"_meta": {"progressToken": "p"}})
    progress = {"progressToken": "p", "progress": 0.5}
    assert talk.server(method="notifications/progress", params=progress).correlation_id == "e0"
    assert talk.client(method="notifications/progress", params=progress).correlation_id == "e1"
    talk.server(id=1, result={})
    assert talk.server(method="notifications/progress", params=progress).correlation_id is None, "the call is over"
    assert not [key for key in talk.conversation.tokens if key.startswith("request/")]


def test_a_token_that_a_newer_call_has_chosen_is_the_newer_calls(talk: Talk) -> None:
    talk.client(**call(1, "a", _meta={"progressToken": "p"}))
    talk.client(**call(2, "b", _meta={"progressToken": "p"}))
    talk.server(id=1, result={})
    assert talk.server(method="notifications/progress", params={"progressToken": "p"}).correlation_id == "e1"


def test_names_of_any_length_are_told_and_only_names_are_kept(talk: Talk) -> None:
    endless = "x" * 1_000_000
    asked = talk.server(id=1, method=endless)
    called = talk.client(**call(1, endless))
    assert (asked.method, called.tool) == (endless, endless)
    assert len(msgspec.json.encode(talk.conversation)) < 1_000
    assert talk.server(id=1, result={}) == Relation("e1", "tools/call", None, 1.0)


def test_a_number_and_its_text_are_two_progress_tokens(talk: Talk) -> None:
    talk.client(**call(1, "a", _meta={"progressToken": 7}))
    talk.client(**call(2, "b", _meta={"progressToken": "7"}))
    assert talk.server(method="notifications/progress", params={"progressToken": "7"}).correlation_id == "e1"


def test_a_cancellation_ends_its_call_and_an_answer_on_its_way_still_finds_it(talk: Talk) -> None:
    talk.client(**call(4, "slow", _meta={"progressToken": 4}))
    talk.client(id=5, method="ping")
    cancelled = talk.client(method="notifications/cancelled", params={"requestId": 4, "reason": "enough"})
    assert cancelled == Relation("e0", "notifications/cancelled", "slow", 2.0)
    assert (list(talk.conversation.request), talk.conversation.tokens) == (["i5"], {})
    assert talk.server(id=4, result={}) == Relation("e0", "tools/call", "slow", None)
    assert talk.server(id=4, result={}) == Relation(), "there is no second answer"


def test_an_error_that_answers_what_was_cancelled_is_no_fault_but_a_tool_that_failed_is(talk: Talk) -> None:
    answers: list[dict[str, Any]] = [{"error": {"code": -32800}}, {"result": {"isError": True}}]
    found = []
    for answer in answers:
        talk.client(**call(4, "slow"))
        talk.client(method="notifications/cancelled", params={"requestId": 4})
        found.append(talk.server(id=4, **answer).is_error)
    assert found == [False, True]


@pytest.mark.parametrize("kind", ["notification", "error"])
def test_an_exchange_of_http_that_ends_takes_every_request_of_its_batch_with_it(talk: Talk, kind: str) -> None:
    talk.exchange = Exchange(17, 17)
    talk.client(**call(1, "a", _meta={"progressToken": 1}))
    talk.client(**call(2, "b"))
    talk.exchange = Exchange(17, 17, ends=True)
    note = {"method": "kilometers/http"} if kind == "notification" else {"error": {"code": 1}}
    ended = talk.server(**note)
    assert (ended.correlation_id, ended.tool, ended.duration_ms) == ("e0", "a", 2.0)
    assert (talk.conversation.request, talk.conversation.tokens) == ({}, {})


def test_within_a_session_a_client_that_left_may_still_be_answered(talk: Talk) -> None:
    talk.exchange = Exchange(17, 0)
    talk.client(**call(1, "a"))
    talk.exchange = Exchange(17, 0, ends=True)
    assert talk.server(method="kilometers/http").duration_ms is None
    talk.exchange = Exchange(18, 0)
    assert talk.server(id=1, result={}).tool == "a"


def test_a_call_of_hours_is_neither_dropped_nor_does_what_passes_meanwhile_pile_up(talk: Talk) -> None:
    talk.client(**call(0, "migrate", _meta={"progressToken": 0}))
    for number in range(1, 20_000):
        talk.client(id=number, method="ping")
        talk.server(id=number, result={})
    talk.server(method="notifications/progress", params={"progressToken": 0})
    conversation = talk.conversation
    assert (len(conversation.request), len(conversation.tokens), conversation.spilled) == (1, 1, 0)
    assert talk.server(id=0, result={}) == Relation("e0", "tools/call", "migrate", 40_000.0)
    assert conversation == Conversation()


def test_every_table_is_bounded(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_calls, "MAX_IN_FLIGHT", 10)
    monkeypatch.setattr(open_calls, "MAX_LATE", 10)
    monkeypatch.setattr(open_calls, "MAX_WAITING_STATES", 10)
    for number in range(100):
        talk.client(**call(number, "a", _meta={"progressToken": number}))
        talk.client(method="notifications/cancelled", params={"requestId": number})
        talk.client(**call(number, "a"))
        talk.server(id=number, result={"task": {"taskId": f"t{number}"}})
        talk.client(**call(number, "a"))
        talk.server(id=number, result={"resultType": "input_required", "requestState": f"s{number}"})
    conversation = talk.conversation
    assert {len(table) for table in (conversation.late, conversation.tasks, conversation.states)} == {10}
    assert conversation.spilled == 90


def test_requests_that_are_never_answered_do_not_fill_the_memory(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_calls, "MAX_IN_FLIGHT", 10)
    for number in range(25):
        talk.client(id=number, method="ping")
    assert len(talk.conversation.request) == 10
    assert talk.conversation.spilled == 15, "and what was given up is counted"
    assert talk.server(id=24, result={}).correlation_id == "e24"
    assert talk.server(id=3, result={}).correlation_id is None
