"""A response finds its request: by direction, by type and value of the id, and only while it is in flight."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest
from km_client.agent import open_calls
from km_client.agent.correlation import Conversation, Exchange, Relation
from km_client.agent.understanding import understand
from km_protocol.envelope import Direction
from mcp_types import UNSUPPORTED_PROTOCOL_VERSION

MILLISECOND = 1_000_000


class Talk:
    """A conversation in which each message comes a millisecond after the last; events are called e0, e1, …"""

    def __init__(self) -> None:
        self.conversation = Conversation()
        self.exchange = Exchange()
        self._numbers = count()

    def client(self, **message: Any) -> Relation:
        return self._say("request", message)

    def server(self, **message: Any) -> Relation:
        return self._say("response", message)

    def _say(self, direction: Direction, members: dict[str, Any]) -> Relation:
        (message,) = understand(json.dumps(members).encode())
        number = next(self._numbers)
        return self.conversation.relate(message, direction, f"e{number}", number * MILLISECOND, self.exchange)


@pytest.fixture
def talk() -> Talk:
    return Talk()


def test_a_response_has_its_requests_correlation_method_tool_and_duration(talk: Talk) -> None:
    asked = talk.client(id=1, method="tools/call", params={"name": "git_log"})
    talk.client(id=2, method="ping")
    answered = talk.server(id=1, result={})
    assert (asked.correlation_id, asked.tool, asked.duration_ms) == ("e0", "git_log", None)
    assert answered == Relation("e0", "tools/call", "git_log", 2.0)


def test_each_direction_has_its_own_ids(talk: Talk) -> None:
    talk.client(id=1, method="tools/call", params={"name": "ask"})
    talk.server(id=1, method="sampling/createMessage")
    from_client = talk.client(id=1, result={"role": "assistant"})
    from_server = talk.server(id=1, result={})
    assert (from_client.correlation_id, from_client.method) == ("e1", "sampling/createMessage")
    assert (from_server.correlation_id, from_server.method) == ("e0", "tools/call")


def test_a_number_and_its_text_are_two_ids(talk: Talk) -> None:
    talk.client(id=1, method="a")
    talk.client(id="1", method="b")
    assert talk.server(id="1", result={}).method == "b"
    assert talk.server(id=1, result={}).method == "a"


def test_an_id_may_be_used_again_once_answered(talk: Talk) -> None:
    talk.client(id=1, method="a")
    talk.server(id=1, result={})
    talk.client(id=1, method="b")
    assert talk.server(id=1, result={}) == Relation("e2", "b", None, 1.0)


def test_an_id_used_again_before_its_answer_belongs_to_the_newer_request(talk: Talk) -> None:
    talk.client(id=1, method="a")
    talk.client(id=1, method="b")
    assert talk.server(id=1, result={}).method == "b"
    assert talk.server(id=1, result={}) == Relation()


def test_an_answer_to_nothing_is_related_to_nothing(talk: Talk) -> None:
    assert talk.server(id=9, result={"isError": True}) == Relation(is_error=True)
    assert talk.server(id=None, error={"code": -32700}) == Relation(is_error=True)


def test_a_refused_probe_is_no_fault_but_any_other_unknown_method_is(talk: Talk) -> None:
    for code in (-32601, -32602, UNSUPPORTED_PROTOCOL_VERSION):
        talk.client(id=1, method="server/discover")
        assert not talk.server(id=1, error={"code": code}).is_error
    talk.client(id=1, method="server/discover")
    assert talk.server(id=1, error={"code": -32603}).is_error
    talk.client(id=1, method="tools/list")
    assert talk.server(id=1, error={"code": -32601}).is_error


def test_a_retry_with_the_request_state_carries_on_the_same_exchange(talk: Talk) -> None:
    talk.client(id=1, method="tools/call", params={"name": "book"})
    asked_back = talk.server(id=1, result={"resultType": "input_required", "requestState": "S1"})
    retried = talk.client(id=2, method="tools/call", params={"name": "book", "requestState": "S1"})
    done = talk.server(id=2, result={"resultType": "complete"})
    unrelated = talk.client(id=3, method="tools/call", params={"name": "book", "requestState": "S1"})
    assert {asked_back.correlation_id, retried.correlation_id, done.correlation_id} == {"e0"}
    assert done.duration_ms == 1.0
    assert unrelated.correlation_id == "e4", "a state is good for one retry"


def test_a_cancellation_belongs_to_the_request_it_names(talk: Talk) -> None:
    talk.client(id=4, method="tools/call", params={"name": "slow"})
    talk.server(id=4, method="roots/list")
    assert talk.client(method="notifications/cancelled", params={"requestId": 4}).correlation_id == "e0"
    assert talk.server(method="notifications/cancelled", params={"requestId": 4}).correlation_id == "e1"
    assert talk.client(method="notifications/cancelled", params={"requestId": 5}).correlation_id is None


def test_a_subscriptions_notices_belong_to_the_request_that_opened_it(talk: Talk) -> None:
    talk.client(id=6, method="subscriptions/listen")
    notice = {"_meta": {"io.modelcontextprotocol/subscriptionId": 6}, "uri": "file:///a"}
    for _ in range(2):
        assert talk.server(method="notifications/resources/updated", params=notice).correlation_id == "e0"
    ended = talk.server(id=6, result={})
    assert (ended.correlation_id, ended.duration_ms) == ("e0", None), "a stream of hours is no slow call"


def call(number: int, tool: str, **params: Any) -> dict[str, Any]:
    return {"id": number, "method": "tools/call", "params": {"name": tool, **params}}


def test_progress_belongs_to_the_call_whose_token_it_names_whichever_way_it_travels(talk: Talk) -> None:
    talk.client(**call(1, "build", _meta={"progressToken": "p"}))
    talk.server(id=1, method="sampling/createMessage", params={"_meta": {"progressToken": "p"}})
    progress = {"progressToken": "p", "progress": 0.5}
    assert talk.server(method="notifications/progress", params=progress).correlation_id == "e0"
    assert talk.client(method="notifications/progress", params=progress).correlation_id == "e1"
    talk.server(id=1, result={})
    assert talk.server(method="notifications/progress", params=progress).correlation_id is None, "the call is over"
    assert not [key for key in talk.conversation.tokens if key.startswith("request/")]


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


@pytest.mark.parametrize("method", ["sampling/createMessage", "elicitation/create", "roots/list", "ping"])
def test_a_request_of_the_servers_is_answered_by_the_client(talk: Talk, method: str) -> None:
    talk.server(id="q", method=method)
    assert talk.client(id="q", result={}) == Relation("e0", method, None, 1.0)
    talk.server(id="q", method=method)
    assert talk.client(id="q", error={"code": -1, "message": "declined"}).is_error


class TestTasks:
    """A call that is answered with a task goes on until the task's result, or an end without one."""

    def begin(self, talk: Talk) -> Relation:
        talk.client(**call(1, "train", task={"ttl": 60_000}, _meta={"progressToken": "p"}))
        return talk.server(id=1, result={"task": {"taskId": "t1", "status": "working"}})

    def ask(self, talk: Talk, number: int, method: str) -> Relation:
        return talk.client(id=number, method=method, params={"taskId": "t1"})

    def test_the_task_is_no_end_of_its_call_and_progress_still_belongs_to_it(self, talk: Talk) -> None:
        assert self.begin(talk) == Relation("e0", "tools/call", "train", None)
        progress = talk.server(method="notifications/progress", params={"progressToken": "p"})
        related = {"_meta": {"io.modelcontextprotocol/related-task": {"taskId": "t1"}}}
        assert progress.correlation_id == "e0"
        assert talk.server(method="notifications/message", params=related).correlation_id == "e0"

    def test_polls_are_exchanges_of_their_own_and_the_result_ends_the_call(self, talk: Talk) -> None:
        self.begin(talk)
        assert self.ask(talk, 2, "tasks/get").correlation_id == "e2"
        polled = talk.server(id=2, result={"taskId": "t1", "status": "completed"})
        assert polled == Relation("e2", "tasks/get", "train", 1.0)
        assert self.ask(talk, 3, "tasks/result").correlation_id == "e0"
        assert talk.server(id=3, result={"isError": True}) == Relation("e0", "tools/call", "train", 5.0, True)
        assert not talk.conversation.tasks and not talk.conversation.tokens

    @pytest.mark.parametrize(("status", "is_error"), [("failed", True), ("cancelled", False)])
    def test_an_end_without_a_result_ends_the_call(self, talk: Talk, status: str, is_error: bool) -> None:
        self.begin(talk)
        working = talk.server(method="notifications/tasks/status", params={"taskId": "t1", "status": "working"})
        assert working == Relation("e0", "notifications/tasks/status", "train", None)
        ended = talk.server(method="notifications/tasks/status", params={"taskId": "t1", "status": status})
        assert ended == Relation("e0", "notifications/tasks/status", "train", 3.0, is_error)
        assert not talk.conversation.tasks

    def test_a_task_that_its_requestor_cancels_ends(self, talk: Talk) -> None:
        self.begin(talk)
        self.ask(talk, 2, "tasks/cancel")
        assert talk.server(id=2, result={"taskId": "t1", "status": "cancelled"}).method == "tasks/cancel"
        assert not talk.conversation.tasks

    def test_a_task_whose_state_brings_its_result_is_over(self, talk: Talk) -> None:
        talk.client(**call(1, "train"))
        talk.server(id=1, result={"resultType": "task", "taskId": "t1", "status": "working"})
        self.ask(talk, 2, "tasks/get")
        talk.server(id=2, result={"taskId": "t1", "status": "working"})
        assert talk.conversation.tasks
        self.ask(talk, 3, "tasks/get")
        talk.server(id=3, result={"taskId": "t1", "status": "completed", "result": {"content": []}})
        assert not talk.conversation.tasks

    def test_tasks_of_the_servers_requests_are_others(self, talk: Talk) -> None:
        self.begin(talk)
        talk.server(id=1, method="sampling/createMessage", params={"task": {}})
        talk.client(id=1, result={"task": {"taskId": "t1", "status": "working"}})
        talk.server(id=2, method="tasks/result", params={"taskId": "t1"})
        assert talk.client(id=2, result={}) == Relation("e2", "sampling/createMessage", None, 3.0)
        assert list(talk.conversation.tasks) == ["request/st1"]


def test_a_retry_without_a_state_is_known_by_the_inputs_it_answers(talk: Talk) -> None:
    wanted = {"resultType": "input_required", "inputRequests": {"name": {}, "date": {}}}
    given = {"date": {"action": "accept"}, "name": {"action": "accept"}}
    talk.client(**call(1, "book"))
    talk.server(id=1, result=wanted)
    other = talk.client(**call(2, "cancel", inputResponses=given))
    retried = talk.client(**call(3, "book", inputResponses=given))
    assert (other.correlation_id, retried.correlation_id) == ("e2", "e0")


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
