"""Requests that are answered with a task, and what is asked about it later. Pure.

2025-11-25, Tasks: a request with `params.task` is answered with `result.task` (`CreateTaskResult`); its requestor asks
`tasks/get`, `tasks/result`, which waits for the end and gives what the request would have given, and `tasks/cancel`;
`notifications/tasks/status` tells of changes. Beside 2026-07-28 there is the extension `io.modelcontextprotocol/tasks`:
the result says `resultType: "task"` and has the members of the task itself, there is no `tasks/result`, and the answer
to `tasks/get`, or `notifications/tasks`, brings the result with the end.
"""

from __future__ import annotations

from typing import Any

import msgspec

from km_client.agent.understanding import Body, request_key

RESULT = "tasks/result"
STATUSES = {"notifications/tasks/status", "notifications/tasks"}
CANCELLED = "cancelled"
_FAILED = "failed"
_ABOUT = {"tasks/get", RESULT, "tasks/cancel", "tasks/update"}


def is_about(method: str) -> bool:
    """Whether a request names a task in `params.taskId`."""
    return method in _ABOUT


def created_by(result: Body) -> str | None:
    """The key of the task that `result` answers a request with."""
    if isinstance(result.task, dict):
        return request_key(result.task.get("taskId"))
    return request_key(result.task_id) if result.result_type == "task" else None


def is_over(state: Body) -> bool:
    """Whether nothing more need be asked about a task. In 2025-11-25 the result of a completed one is; how a failed one
    ended is known already, and `tasks/result` only repeats it.
    """
    has_result = not isinstance(state.result, msgspec.UnsetType)
    return state.status in (_FAILED, CANCELLED) or (state.status == "completed" and has_result)


def is_failure(state: Body) -> bool:
    """Whether a task failed, or a tool says so in the result that `state` brings."""
    return state.status == _FAILED or (state.status == "completed" and _is_tool_error(state.result))


class _Result(msgspec.Struct):
    is_error: Any = msgspec.field(name="isError", default=None)


def _is_tool_error(result: msgspec.Raw | msgspec.UnsetType) -> bool:
    try:
        return result is not msgspec.UNSET and msgspec.json.decode(result, type=_Result).is_error is True
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False  # a result of another shape
