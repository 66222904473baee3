"""A response finds its request: by direction, by type and value of the id, and only while it is in flight."""

from __future__ import annotations

from typing import Any

import pytest
from km_client.agent.correlation import Relation
from mcp_types import MISSING_REQUIRED_CLIENT_CAPABILITY, UNSUPPORTED_PROTOCOL_VERSION

from tests.client.agent.talk import Talk, call


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
    talk.client(id=1, method="ping")
    assert talk.server(id=None, error={"code": -32700}) == Relation(is_error=True), "of what, a stream of lines hides"


def test_a_refused_probe_is_no_fault_but_any_other_unknown_method_is(talk: Talk) -> None:
    for code in (-32000, -32002, -32601, -32602, UNSUPPORTED_PROTOCOL_VERSION):
        talk.client(id=1, method="server/discover")
        assert not talk.server(id=1, error={"code": code}).is_error
    for code in (-32603, MISSING_REQUIRED_CLIENT_CAPABILITY):
        talk.client(id=1, method="server/discover")
        assert talk.server(id=1, error={"code": code}).is_error
    talk.client(id=1, method="tools/list")
    assert talk.server(id=1, error={"code": -32601}).is_error


def test_members_of_any_type_harm_nobody(talk: Talk) -> None:
    strange: list[Any] = [[], {}, [1], None, True, 1.5, "x", 10**30]
    for said in strange:
        talk.client(id=1, method="server/discover")
        assert talk.server(id=1, error={"code": said}).is_error
        talk.client(**call(2, "train", task={}))
        talk.server(id=2, result={"task": {"taskId": "t1"}, "resultType": said})
        told = talk.server(method="notifications/tasks/status", params={"taskId": "t1", "status": said})
        assert (told.tool, told.duration_ms) == ("train", None)
        talk.client(id=3, method="tasks/get", params={"taskId": "t1"})
        assert talk.server(id=3, result={"taskId": "t1", "status": said, "result": said}).method == "tasks/get"
        assert talk.client(method="notifications/cancelled", params={"requestId": said}).correlation_id is None


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


def test_a_server_ends_a_subscription_with_a_cancellation_and_nothing_else_of_the_clients(talk: Talk) -> None:
    talk.client(id=6, method="subscriptions/listen")
    talk.client(**call(7, "slow"))
    end = {"method": "notifications/cancelled"}
    assert talk.server(**end, params={"requestId": 7}).correlation_id is None
    assert talk.server(**end, params={"requestId": 6}) == Relation("e0", "notifications/cancelled")
    assert list(talk.conversation.request) == ["i7"]
    talk.client(id=6, method="subscriptions/listen")
    talk.server(id=6, method="roots/list")
    assert talk.server(**end, params={"requestId": 6}).correlation_id == "e5", "first of all, its own"


def test_a_subscriptions_notices_belong_to_the_request_that_opened_it(talk: Talk) -> None:
    talk.client(id=6, method="subscriptions/listen")
    notice = {"_meta": {"io.modelcontextprotocol/subscriptionId": 6}, "uri": "file:///a"}
    for _ in range(2):
        assert talk.server(method="notifications/resources/updated", params=notice).correlation_id == "e0"
    ended = talk.server(id=6, result={})
    assert (ended.correlation_id, ended.duration_ms) == ("e0", None), "a stream of hours is no slow call"


def test_a_subscription_that_ends_with_its_server_is_no_fault_but_one_that_never_was_heard_is(talk: Talk) -> None:
    talk.client(id=6, method="subscriptions/listen", params={"_meta": {"progressToken": 6}})
    closed = {"code": -32000, "message": "Connection closed"}
    assert talk.server(id=6, error=closed) == Relation("e0", "subscriptions/listen", is_error=True)
    for code, is_fault in ((-32000, False), (-32603, True)):
        talk.client(id=6, method="subscriptions/listen", params={"_meta": {"progressToken": 6}})
        heard = {"_meta": {"io.modelcontextprotocol/subscriptionId": 6}}
        talk.server(method="notifications/subscriptions/acknowledged", params=heard)
        assert talk.server(id=6, error={"code": code}).is_error is is_fault
    assert not talk.conversation.tokens


@pytest.mark.parametrize("method", ["sampling/createMessage", "elicitation/create", "roots/list", "ping"])
def test_a_request_of_the_servers_is_answered_by_the_client(talk: Talk, method: str) -> None:
    talk.server(id="q", method=method)
    assert talk.client(id="q", result={}) == Relation("e0", method, None, 1.0)
    talk.server(id="q", method=method)
    assert talk.client(id="q", error={"code": -1, "message": "declined"}).is_error


def test_a_retry_without_a_state_is_known_by_the_inputs_it_answers(talk: Talk) -> None:
    wanted = {"resultType": "input_required", "inputRequests": {"name": {}, "date": {}}}
    given = {"date": {"action": "accept"}, "name": {"action": "accept"}}
    talk.client(**call(1, "book"))
    talk.server(id=1, result=wanted)
    other = talk.client(**call(2, "cancel", inputResponses=given))
    retried = talk.client(**call(3, "book", inputResponses=given))
    assert (other.correlation_id, retried.correlation_id) == ("e2", "e0")
