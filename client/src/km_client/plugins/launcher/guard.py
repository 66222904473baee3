"""The parent of a plugin that may have children: they get no signal when the host dies, so it takes them along.

host ── guard ── plugin ── its children           one process group, whose leader is the guard
"""

from __future__ import annotations

import os
import resource
import signal
import struct

from km_client.plugins.launcher.kernel import SIG_SETMASK, SIGKILL, SIGTERM, die_with_parent, libc


def become_guarded(control: int) -> None:
    """Split in two: returns in a child that goes on; this process stays behind as its guard."""
    only_sigterm = struct.pack("=Q", 1 << (SIGTERM - 1)) + bytes(120)  # until the guard has its handler
    libc.sigprocmask(SIG_SETMASK, only_sigterm, None)
    host, guard = os.getppid(), os.getpid()
    child = os.fork()
    if child == 0:
        die_with_parent(guard, SIGKILL)
    else:
        # All it has: what the launcher opens gets the lowest free numbers, `control` has the one it had in the host.
        os.closerange(0, max(64, control + 1))
        _guard(child, host)


def _guard(child: int, host: int) -> None:
    """Wait for the child and end as it ended. SIGTERM (the host died) ends the group, this process included."""
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    die_with_parent(host, SIGTERM)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the child's death, not a second core file
        libc.signal(os.WTERMSIG(status), None)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
