"""One thread that runs the author's code, in order, so that the event loop stays free to answer health checks.

The thread is a daemon: a handler that hangs for ever cannot keep the process from ending.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class HandlerThread:
    """`await run(function)` runs it on the thread, after everything asked for before, and returns what it returns."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="km-handlers", daemon=True).start()

    async def run(self, function: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001 - SystemExit in a handler must not kill the thread either
                carried = _carried(error)
                _settle(loop, future, lambda: future.set_exception(carried))
            else:
                _settle(loop, future, lambda: future.set_result(result))

        self._jobs.put(job)
        return await future

    def _work(self) -> None:
        while True:
            self._jobs.get()()


def _carried(error: BaseException) -> Exception:
    """`sys.exit()` and StopIteration cannot travel through a future as they are."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return RuntimeError(f"the plugin raised {type(error).__name__}: {error}")


def _settle(loop: asyncio.AbstractEventLoop, future: asyncio.Future[T], settle: Callable[[], None]) -> None:
    def when_wanted() -> None:
        if not future.done():  # the host gave up on this call: its deadline passed
            settle()

    if not loop.is_closed():
        loop.call_soon_threadsafe(when_wanted)
