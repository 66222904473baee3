"""Requests that are answered with a task, and what is asked about it later. Pure.

2025-11-25, Tasks: a request with `params.task` is answered with `result.task` (`CreateTaskResult`); its requestor asks
`tasks/get`, `tasks/result`, which waits for the end and gives what the request would have given, and `tasks/cancel`;
`notifications/tasks/status` tells of changes. Later servers offer tasks as an extension, where the result says
`resultType: "task"` and has the members of the task itself, and `tasks/get` brings the result with the end.
"""

from __future__ import annotations

import msgspec

from km_client.agent.understanding import Body, request_key

RESULT = "tasks/result"
STATUS = "notifications/tasks/status"
FAILED = "failed"
WITHOUT_RESULT = {FAILED, "cancelled"}
_ABOUT = {"tasks/get", RESULT, "tasks/cancel", "tasks/update"}


def is_about(method: str) -> bool:
    """Whether a request names a task in `params.taskId`."""
    return method in _ABOUT


def created_by(result: Body) -> str | None:
    """The key of the task that `result` answers a request with."""
    if isinstance(result.task, dict):
        return request_key(result.task.get("taskId"))
    return request_key(result.task_id) if result.result_type == "task" else None


def is_over(result: Body) -> bool:
    """Whether nothing more is to be asked about a task whose state `result` tells."""
    has_result = not isinstance(result.result, msgspec.UnsetType)
    return result.status in WITHOUT_RESULT or (result.status == "completed" and has_result)
