"""A deadline around work that has deadlines of its own.

grpclib ends a call that takes too long by cancelling the task it runs in. `asyncio.timeout` does the same, and mistakes
the one for the other: the task ends cancelled although nobody cancelled it. So the work gets a task to itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns or raises. Raises `TimeoutError`, after `work` was cancelled and ended."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait((task,), timeout=seconds)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        task.cancel()
        await asyncio.wait((task,))
