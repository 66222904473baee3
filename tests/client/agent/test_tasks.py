"""A call that is answered with a task goes on until the task's result, or an end without one."""

from __future__ import annotations

from typing import Any

import pytest
from km_client.agent.correlation import Relation

from tests.client.agent.talk import Talk, call


@pytest.fixture
def talk() -> Talk:
    return Talk()


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
        assert polled == Relation("e2", "tasks/get", None, 1.0)
        assert self.ask(talk, 3, "tasks/result") == Relation("e0", "tasks/result"), "the tool was called once"
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

    @pytest.mark.parametrize(
        ("state", "is_error"),
        [
            ({"status": "completed", "result": {"content": []}}, False),
            ({"status": "completed", "result": {"content": [], "isError": True}}, True),
            ({"status": "completed", "result": 3}, False),
            ({"status": "failed", "error": {"code": -32603, "message": "no"}}, True),
        ],
    )
    def test_a_state_that_brings_the_result_ends_the_call_whether_asked_for_or_told(
        self, talk: Talk, state: dict[str, Any], is_error: bool
    ) -> None:
        for asks in (True, False):
            begun = talk.client(**call(1, "train"))
            talk.server(id=1, result={"resultType": "task", "taskId": "t1", "status": "working"})
            polling = self.ask(talk, 2, "tasks/get")
            working = talk.server(id=2, result={"taskId": "t1", "status": "working"})
            assert (working.method, working.tool, bool(talk.conversation.tasks)) == ("tasks/get", None, True)
            if asks:
                polling = self.ask(talk, 3, "tasks/get")
                ended = talk.server(id=3, result={"taskId": "t1", **state})
                assert ended == Relation(polling.correlation_id, "tools/call", "train", 5.0, is_error)
            else:
                ended = talk.server(method="notifications/tasks", params={"taskId": "t1", **state})
                assert ended == Relation(begun.correlation_id, "notifications/tasks", "train", 4.0, is_error)
            assert not talk.conversation.tasks

    def test_the_result_of_a_task_that_is_known_to_have_failed_is_still_its_calls(self, talk: Talk) -> None:
        self.begin(talk)
        self.ask(talk, 2, "tasks/get")
        failed = talk.server(id=2, result={"taskId": "t1", "status": "failed"})
        assert failed == Relation("e2", "tools/call", "train", 3.0, is_error=True)
        assert self.ask(talk, 3, "tasks/result").correlation_id == "e0"
        assert talk.server(id=3, result={"isError": True}) == Relation("e0", "tasks/result", None, 1.0, is_error=True)

    def test_what_a_subscription_tells_of_a_task_nobody_knows_belongs_to_the_subscription(self, talk: Talk) -> None:
        talk.client(id=7, method="subscriptions/listen", params={"notifications": {"taskIds": ["t9"]}})
        told = {"taskId": "t9", "status": "failed", "_meta": {"io.modelcontextprotocol/subscriptionId": 7}}
        assert talk.server(method="notifications/tasks", params=told) == Relation("e0", "notifications/tasks")

    def test_tasks_of_the_servers_requests_are_others(self, talk: Talk) -> None:
        self.begin(talk)
        talk.server(id=1, method="sampling/createMessage", params={"task": {}})
        talk.client(id=1, result={"task": {"taskId": "t1", "status": "working"}})
        talk.server(id=2, method="tasks/result", params={"taskId": "t1"})
        assert talk.client(id=2, result={}) == Relation("e2", "sampling/createMessage", None, 3.0)
        assert list(talk.conversation.tasks) == ["request/st1"]
