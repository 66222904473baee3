"""Calls of Linux the standard library has no function for, and what is said when one is refused.

system_call(445, "landlock_add_rule /etc", …)     OSError: landlock_add_rule /etc: Invalid argument
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

libc = ctypes.CDLL(None, use_errno=True)
IS_LINUX = sys.platform == "linux"  # elsewhere the plan has no step that needs it
EXIT_REFUSED = 125
SIGKILL, SIGTERM, SIG_SETMASK = 9, 15, 2
_PDEATHSIG = 1  # prctl(2)


def system_call(call: int, name: str, *arguments: Any) -> int:
    return check(libc.syscall(ctypes.c_long(call), *arguments), name)


def check(answer: int, name: str) -> int:
    """Raises `OSError` when the call answered that it failed."""
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return answer


def die_with_parent(parent: int, signal: int) -> None:
    """PR_SET_PDEATHSIG counts the parent's thread; the host spawns from one that lives as long as it does."""
    if IS_LINUX:
        check(libc.prctl(_PDEATHSIG, signal, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it died before the call
        os._exit(EXIT_REFUSED)
