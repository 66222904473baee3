"""A stopped system call in words: which call, aimed at what.

A table from the call's name to where its interesting arguments are, after each call's manual page.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from km_client.plugins.sandbox import memory

Arguments = Sequence[int]
_AT_FDCWD = -100
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True, slots=True)
class PathUse:
    """One path of a call. `creates`: the path need not exist for the call to do something."""

    path: str
    writing: bool
    creates: bool


# (directory argument or None, path argument) of every path a call takes.
_PATHS: dict[str, tuple[tuple[int | None, int], ...]] = {
    **dict.fromkeys(("open", "creat", "mkdir", "rmdir", "unlink", "mknod", "truncate", "execve"), ((None, 0),)),
    **dict.fromkeys(("chmod", "chown", "lchown", "utime", "utimes", "inotify_init"), ((None, 0),)),
    **dict.fromkeys(("setxattr", "lsetxattr", "removexattr", "lremovexattr"), ((None, 0),)),
    **dict.fromkeys(("openat", "openat2", "mkdirat", "unlinkat", "mknodat", "execveat"), ((0, 1),)),
    **dict.fromkeys(("fchmodat", "fchmodat2", "fchownat", "futimesat", "utimensat"), ((0, 1),)),
    **dict.fromkeys(("setxattrat", "removexattrat", "name_to_handle_at"), ((0, 1),)),
    **dict.fromkeys(("rename", "link"), ((None, 0), (None, 1))),
    **dict.fromkeys(("renameat", "renameat2", "linkat"), ((0, 1), (2, 3))),
    "symlink": ((None, 1),),
    "symlinkat": ((1, 2),),
    "mount": ((None, 1),),
    "chroot": ((None, 0),),
    "pivot_root": ((None, 0),),
    "inotify_add_watch": ((None, 1),),
}
_FAMILIES = {int(family): family.name for family in socket.AddressFamily}
_TYPES = {int(kind): kind.name for kind in socket.SocketKind}


def path_uses(pid: int, call: str, arguments: Arguments) -> list[PathUse]:
    """Every path of the call, for those that Landlock judges by path."""
    writing, creates = _intent(pid, call, arguments)
    return [
        PathUse(memory.path(pid, _AT_FDCWD if at is None else arguments[at], arguments[name]), writing, creates)
        for at, name in _PATHS[call]
    ]


def _intent(pid: int, call: str, arguments: Arguments) -> tuple[bool, bool]:
    if call == "openat2":  # struct open_how begins with the flags
        how = memory.read(pid, arguments[2], 8)
        flags = struct.unpack("=Q", how)[0] if len(how) == 8 else 0
    elif call in {"open", "openat"}:
        flags = arguments[1 if call == "open" else 2]
    else:
        return True, True
    return bool(flags & _WRITE_FLAGS), bool(flags & os.O_CREAT)


def target(pid: int, call: str, arguments: Arguments, *, host_pid: int) -> str:
    """What a refused call was aimed at, in words; empty when the call says it all."""
    if call in _PATHS:
        return " → ".join(use.path or "a path that cannot be read" for use in path_uses(pid, call, arguments))
    describe = _DESCRIBED.get(call)
    return describe(pid, arguments, host_pid) if describe else ""


def _socket(_pid: int, arguments: Arguments, _host: int) -> str:
    family, kind = arguments[0] & 0xFFFFFFFF, arguments[1] & 0xF
    return f"{_FAMILIES.get(family, family)} {_TYPES.get(kind, kind)}"


def _connect(pid: int, arguments: Arguments, _host: int) -> str:
    return memory.address(pid, arguments[1], arguments[2])


def _signalled(position: int, signal_at: int) -> Callable[[int, Arguments, int], str]:
    def describe(_pid: int, arguments: Arguments, host: int) -> str:
        number = arguments[signal_at] & 0xFFFFFFFF
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        return f"{name} to {_process(arguments[position], host)}"

    return describe


def _aimed(position: int) -> Callable[[int, Arguments, int], str]:
    return lambda _pid, arguments, host: _process(arguments[position], host)


def _descriptor(pid: int, arguments: Arguments, _host: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/fd/{arguments[0] & 0xFFFFFFFF}")  # noqa: PTH115
    except OSError:
        return f"descriptor {arguments[0] & 0xFFFFFFFF}"


def _process(argument: int, host: int) -> str:
    pid = struct.unpack("=i", struct.pack("=I", argument & 0xFFFFFFFF))[0]
    return f"process {pid} (Kilometers)" if pid == host else "every process" if pid == -1 else f"process {pid}"


_DESCRIBED: dict[str, Callable[[int, Arguments, int], str]] = {
    "socket": _socket,
    "socketpair": _socket,
    "connect": _connect,
    "kill": _signalled(0, 1),
    "tkill": _signalled(0, 1),
    "tgkill": _signalled(0, 2),
    "rt_sigqueueinfo": _signalled(0, 1),
    "rt_tgsigqueueinfo": _signalled(0, 2),
    "ptrace": _aimed(1),
    **dict.fromkeys(("fchmod", "fchown", "fsetxattr", "fremovexattr"), _descriptor),
    **dict.fromkeys(("process_vm_readv", "process_vm_writev", "pidfd_open", "kcmp", "get_robust_list"), _aimed(0)),
    **dict.fromkeys(("prlimit64", "sched_setaffinity", "sched_setscheduler", "sched_setparam"), _aimed(0)),
    **dict.fromkeys(("sched_setattr", "move_pages", "migrate_pages"), _aimed(0)),
    **dict.fromkeys(("setpriority", "ioprio_set"), _aimed(1)),
}
