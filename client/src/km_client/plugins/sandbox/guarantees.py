"""What the sandbox promises for a manifest's permissions, what enforces it, and whether this kernel can.

    >>> [row.code for row in promised(Permissions(), probe()) if not row.enforced]
    []

`strict` starts a plugin only when every promise holds. `best-effort` starts it and shows what does not. `off` shows
that nothing does. Each row is also what a person reads in `plugins inspect`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from km_protocol.kmpkg.manifest import Permissions

from km_client.plugins.sandbox.kernel import Kernel
from km_client.plugins.sandbox.landlock import SCOPE_ABI, UNIX_PATH_ABI

Level = Literal["strict", "best-effort", "off"]
LEVELS: tuple[Level, ...] = get_args(Level)
Applies = Callable[[Permissions], bool]
Needs = Callable[[Kernel], bool]


@dataclass(frozen=True, slots=True)
class Guarantee:
    """One promise. `missing` says what the kernel lacks, or why the step failed; empty when enforced."""

    code: str
    promise: str
    by: str
    enforced: bool = True
    missing: str = ""


@dataclass(frozen=True, slots=True)
class _Row:
    guarantee: Guarantee
    applies: Applies
    holds: Needs
    missing: str


def _always(_: Permissions) -> bool:
    return True


def _landlock(abi: int) -> Needs:
    return lambda kernel: kernel.landlock_abi >= abi


def _seccomp(kernel: Kernel) -> bool:
    return kernel.has_seccomp


_NO_SECCOMP = "seccomp filters (Linux 3.17 or newer, on x86_64 or aarch64)"

# The private root's row is assumed to hold until the launcher says that the namespace was refused.
_TABLE: tuple[_Row, ...] = (
    _Row(
        Guarantee(
            "files", "opens only its own files and its runtime's; writes only to its state directory", "Landlock"
        ),
        lambda permissions: not permissions.filesystem,
        _landlock(1),
        "Landlock (Linux 5.13 or newer, and `landlock` among the kernel's `lsm=`)",
    ),
    _Row(
        Guarantee("truncation", "cannot empty a file it may not write", "Landlock ABI 3"),
        lambda permissions: not permissions.filesystem,
        _landlock(3),
        "Landlock ABI 3 (Linux 6.2)",
    ),
    _Row(
        Guarantee("attributes", "changes no file's mode, owner, times or attributes", "seccomp"),
        lambda permissions: not permissions.filesystem,
        _seccomp,
        _NO_SECCOMP,
    ),
    _Row(
        Guarantee("sockets", "has no socket but its own unix stream, and reaches nobody", "seccomp and Landlock"),
        lambda permissions: not permissions.network,
        _seccomp,
        _NO_SECCOMP,
    ),
    _Row(
        Guarantee("unix-paths", "reaches no unix socket of another program", "a private root or Landlock ABI 9"),
        lambda permissions: permissions.network and not permissions.filesystem,
        lambda kernel: kernel.landlock_abi > 0,
        "a user namespace with a private root, or Landlock ABI 9",
    ),
    _Row(
        Guarantee("abstract-sockets", "reaches no abstract unix socket of another program", "Landlock ABI 6"),
        lambda permissions: permissions.network,
        _landlock(SCOPE_ABI),
        "Landlock ABI 6 (Linux 6.12)",
    ),
    _Row(
        Guarantee("processes", "starts no process and no other program", "seccomp"),
        lambda permissions: not permissions.system,
        _seccomp,
        _NO_SECCOMP,
    ),
    _Row(
        Guarantee("signals", "signals nobody but itself", "seccomp and Landlock"),
        lambda permissions: not permissions.system,
        _seccomp,
        _NO_SECCOMP,
    ),
    _Row(
        Guarantee("signals", "signals nobody but its own children", "Landlock ABI 6"),
        lambda permissions: permissions.system,
        _landlock(SCOPE_ABI),
        "Landlock ABI 6 (Linux 6.12)",
    ),
    _Row(
        Guarantee("kernel", "no ptrace, io_uring, namespaces, mounts, BPF, keyring or code outside files", "seccomp"),
        _always,
        _seccomp,
        _NO_SECCOMP,
    ),
    _Row(Guarantee("limits", "bounded memory, open files and file size", "rlimits"), _always, lambda _: True, ""),
)


def promised(permissions: Permissions, kernel: Kernel, level: Level = "strict") -> list[Guarantee]:
    """Every promise for these permissions, each marked with whether `kernel` can keep it. `off` keeps none."""
    rows = [row for row in _TABLE if row.applies(permissions)]
    if level == "off":
        return [replace(row.guarantee, enforced=False, missing="`sandbox = off`") for row in rows]
    return [
        row.guarantee if row.holds(kernel) else replace(row.guarantee, enforced=False, missing=row.missing)
        for row in rows
    ]


def needs_private_root(permissions: Permissions, kernel: Kernel) -> bool:
    """With a network `connect` is open, and before ABI 9 Landlock does not see which unix socket it reaches."""
    return permissions.network and not permissions.filesystem and 0 < kernel.landlock_abi < UNIX_PATH_ABI


def after_launch(rows: list[Guarantee], failed: dict[str, str]) -> list[Guarantee]:
    """`rows` with what the launcher could not do: `{"private root": "unshare: Operation not permitted"}`."""
    return [_weakened(row, failed) for row in rows]


# Which promises fall with a step of the launcher.
_STEP_KEEPS: dict[str, tuple[str, ...]] = {
    "private root": ("unix-paths",),
    "landlock": ("files", "truncation", "abstract-sockets"),
    "seccomp": ("attributes", "sockets", "processes", "signals", "kernel"),
    "limits": ("limits",),
}


def _weakened(row: Guarantee, failed: dict[str, str]) -> Guarantee:
    for step, reason in failed.items():
        if row.code in _STEP_KEEPS.get(step, ()):
            return replace(row, enforced=False, missing=reason)
    return row
