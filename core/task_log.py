"""One line of log for every task, under the ids of the request that queued it.

    {"event": "task", "task": "registry.build", "task_id": "0c1e…", "state": "SUCCESS", "duration_ms": 8140.2,
     "request_id": "7f3a…", "trace_id": "4bf9…", "customer_id": "cus_7Yd0…", …}

The ids travel in the message's header `km_context`. A success that the clock asked for and that took less than
`WORTH_A_LINE_SECONDS` is logged at DEBUG: a dozen of those come every minute and say nothing.
`connect()` once, in the process that queues and in the one that works.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import structlog
from celery import signals, states

from core import correlation

HEADER = "km_context"
WORTH_A_LINE_SECONDS = 1.0
_BEGUN = "_km_begun"

_log = structlog.get_logger("km.task")
_LEVELS = {states.FAILURE: logging.ERROR, states.RETRY: logging.WARNING, states.REJECTED: logging.WARNING}


def connect() -> None:
    """From now on. Connecting twice is the same as once."""
    signals.before_task_publish.connect(_queued, dispatch_uid="km.task_log")
    signals.task_prerun.connect(_began, dispatch_uid="km.task_log")
    signals.task_postrun.connect(_ended, dispatch_uid="km.task_log")


def _queued(headers: dict[str, Any] | None = None, **_: Any) -> None:
    if headers is not None:
        headers[HEADER] = correlation.carried()


def _began(task_id: str, task: Any, **_: Any) -> None:
    carried = getattr(task.request, HEADER, None)
    correlation.resume(carried if isinstance(carried, dict) else {})
    structlog.contextvars.bind_contextvars(task_id=task_id)
    setattr(task.request, _BEGUN, time.perf_counter())
    _log.debug("task_begins", task=task.name)


def _ended(task: Any, state: str | None = None, **_: Any) -> None:
    seconds = time.perf_counter() - getattr(task.request, _BEGUN, time.perf_counter())
    was_asked_for = bool(correlation.carried())
    routine = logging.INFO if was_asked_for or seconds >= WORTH_A_LINE_SECONDS else logging.DEBUG
    level = _LEVELS.get(state or "", routine)
    _log.log(level, "task", task=task.name, state=state, duration_ms=round(seconds * 1000, 2))
    correlation.end()
