"""A call that is answered with a task goes on until the task's result, or an end without one."""

from __future__ import annotations

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
