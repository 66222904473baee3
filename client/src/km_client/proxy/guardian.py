"""No orphans, even after `kill -9` of the relay: a process that does nothing but outlive it for a moment.

    relay ──holds the write end of a pipe──▶ guardian: reads until the end, which comes when the relay is gone,
                                             then TERM, two seconds, KILL to what is left of the server's group

The kernel closes the pipe however the relay died. `PR_SET_PDEATHSIG` would be simpler, but it knows only the direct
child: the `node` behind an `npx` would live on. What leaves the group on purpose (`setsid`) is left alone.
The guardian is a fork of the relay (so it shows under the same name, and shares its memory) in a session of its own,
out of reach of signals to the relay's group.
"""

from __future__ import annotations

import os
import signal
from time import monotonic, sleep

TERM_SECONDS = 2.0  # as long as the stop order of the relay gives
LOOK_SECONDS = 0.02
DESCRIPTORS = 4096  # far more than the relay has; where the system must close them one by one, still under 1 ms


def watch_over(group: int) -> None:
    """Start a guardian for this process group. To be called before any thread is started, with signals blocked."""
    lifeline, _held_open_by_this_process = os.pipe()
    if os.fork() == 0:
        try:
            _guard(lifeline, group)
        finally:
            os._exit(0)
    os.close(lifeline)


def _guard(lifeline: int, group: int) -> None:
    os.setsid()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    os.dup2(lifeline, 3)
    os.closerange(4, DESCRIPTORS)  # above all the server's stdin, whose end the server would otherwise never see
    os.read(3, 1)
    _end(group)


def _end(group: int) -> None:
    deadline = monotonic() + TERM_SECONDS
    try:
        os.killpg(group, signal.SIGTERM)
        while monotonic() < deadline:
            sleep(LOOK_SECONDS)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
