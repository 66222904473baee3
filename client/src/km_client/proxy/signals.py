"""Signals as bytes in a pipe, so that a `poll` loop meets them as it meets everything else.

    with held() as mask:            # none arrives while the server is being started
        arrived = catch()
        …
    os.read(arrived, 64)  ->  b"\\x0f\\x11"        SIGTERM, SIGCHLD

No handler runs code of ours: the interpreter's own C handler writes the number, from whatever thread the system chose.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
CAUGHT = (*FORWARDED, signal.SIGCHLD)


@contextlib.contextmanager
def held() -> Iterator[set[int]]:
    """Hold back the signals this module catches. Yields the mask as it was, which a child should have."""
    mask: set[int] = signal.pthread_sigmask(signal.SIG_BLOCK, CAUGHT)
    try:
        yield mask
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def catch() -> int:
    """From here on a signal is a byte, its number, in the pipe whose read end this returns (it never blocks)."""
    arrived, noted = os.pipe()
    os.set_blocking(arrived, False)
    os.set_blocking(noted, False)
    signal.set_wakeup_fd(noted, warn_on_full_buffer=False)
    for number in CAUGHT:
        if number == signal.SIGCHLD or signal.getsignal(number) != signal.SIG_IGN:  # `nohup` stays in force
            signal.signal(number, lambda *_: None)
    return arrived
