"""Answers judged without holding up the loop: a list of tools waits for the lock of the pins, and for a disk.

Whoever keeps that lock holds up the answer that needs it, and nothing else of this process. What names no tools is
judged at once, where it stands. A `Judge` may be asked about other messages meanwhile: what it keeps of them is changed
by single operations, and the pins are changed under their lock.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from km_client.proxy.held_list import may_list
from km_client.proxy.holding import Answered, Judge

_WAITING = ThreadPoolExecutor(8, thread_name_prefix="pins")  # lists at once; the next ones wait for these


async def answered(judge: Judge, message: bytes) -> Answered:
    """What `judge` makes of a message of the server's that came now."""
    at_ns = time.time_ns()
    if not may_list(message):
        return judge.answered(message, at_ns)
    return await asyncio.get_running_loop().run_in_executor(_WAITING, judge.answered, message, at_ns)
