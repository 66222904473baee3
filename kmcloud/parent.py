"""A child that ends with the process that started it, however that one ends.

    die_with(parent_pid)     # first thing in the child; `parent_pid` was written down by the parent

On Linux the kernel does it (prctl(2), PR_SET_PDEATHSIG); elsewhere a thread looks every second. Nothing acknowledged is
lost by dying at once, so the signal is SIGKILL: an orphan that goes on serving beside its successor is worse.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

LOOK_EVERY_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1


def die_with(parent_pid: int) -> None:
    """End this process when process `parent_pid`, its parent, ends; at once if it has ended already."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    else:
        threading.Thread(target=_watch, args=(parent_pid,), name="parent-watch", daemon=True).start()
    if os.getppid() != parent_pid:  # it ended between its fork and the line above
        os.kill(os.getpid(), signal.SIGKILL)


def _watch(parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        time.sleep(LOOK_EVERY_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
