"""What this machine's kernel can enforce, asked of the kernel itself.

>>> probe()
Kernel(architecture='x86_64', landlock_abi=7, seccomp_actions=frozenset({'errno', 'user_notif', …}))
"""

from __future__ import annotations

import ctypes
import platform
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from km_client.plugins.sandbox.syscall_numbers import ARCHITECTURES

LANDLOCK_CREATE_RULESET = 444  # the same number on every architecture
_VERSION_FLAG = 1  # LANDLOCK_CREATE_RULESET_VERSION
_ACTIONS = Path("/proc/sys/kernel/seccomp/actions_avail")  # seccomp(2), "/proc interfaces"


@dataclass(frozen=True, slots=True)
class Kernel:
    """`landlock_abi` 0: no Landlock (not Linux, older than 5.13, or switched off at boot)."""

    architecture: str
    landlock_abi: int
    seccomp_actions: frozenset[str]

    @property
    def has_seccomp(self) -> bool:
        return "errno" in self.seccomp_actions and self.architecture in ARCHITECTURES

    @property
    def has_notifier(self) -> bool:
        return self.has_seccomp and "user_notif" in self.seccomp_actions


@cache
def probe() -> Kernel:
    """The running kernel. Asked once: it does not change while a program runs."""
    if sys.platform != "linux":
        return Kernel(platform.machine(), 0, frozenset())
    actions = _ACTIONS.read_text().split() if _ACTIONS.exists() else []
    return Kernel(platform.machine(), _landlock_abi(), frozenset(actions))


def _landlock_abi() -> int:
    """landlock_create_ruleset(2) with a null ruleset and the VERSION flag."""
    libc = ctypes.CDLL(None, use_errno=True)
    answer = libc.syscall(
        ctypes.c_long(LANDLOCK_CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION_FLAG)
    )
    return max(0, int(answer))
