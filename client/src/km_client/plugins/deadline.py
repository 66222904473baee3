"""A deadline that holds, whatever the work does with being cancelled.

grpclib's own deadlines cancel the task a call runs in, which `asyncio.timeout` mistakes for its own doing, and its
clean-up after a cancelled call may wait for a peer that was stopped. So work gets a task to itself, and is left behind
if it does not end when told to: it ends when its connection is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
CLEAN_UP_SECONDS = 0.1
# grpclib is told a later deadline than ours, so that ours comes first; the plugin sees it as `grpc-timeout`.
MARGIN_SECONDS = 1.0


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns or raises. Raises `TimeoutError` after `seconds`, or `CLEAN_UP_SECONDS` later."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait((task,), timeout=seconds)
        if task.done():
            return task.result()
        raise TimeoutError
    finally:
        if not task.done():
            task.cancel()
            task.add_done_callback(_take_notice)
            await asyncio.wait((task,), timeout=CLEAN_UP_SECONDS)


def _take_notice(task: asyncio.Task[Any]) -> None:
    """An exception nobody asks for is reported by asyncio; this one came too late to matter."""
    if not task.cancelled():
        task.exception()
