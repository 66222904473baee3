"""Permissions to system calls: what is refused, except when, and with which answer.

    >>> rules(Permissions(), probe(), pid=4711)[0]
    CallRule(calls=('ptrace', …), refuses='looking into another process', …)

Follows seccomp(2) and each call's own manual page. Everything not named here is allowed: unmodified Go and Python
programs must run, and files are Landlock's business. Arguments are compared as 32-bit words, which is what the kernel
uses of each of them; what stands behind a pointer cannot be compared and therefore decides nothing here.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from typing import Literal

from km_protocol.kmpkg.manifest import Permissions

from km_client.plugins.sandbox.kernel import Kernel
from km_client.plugins.sandbox.landlock import SCOPE_ABI

# refuse: answered with `error`, and reported.       quiet: answered with `error`, not worth reporting.
# first:  the launcher's own exec is let through, every later one refused.
# watch:  Landlock decides; reported when it will refuse. Left out where nobody listens.
Verdict = Literal["refuse", "quiet", "first", "watch"]


@dataclass(frozen=True, slots=True)
class Test:
    """`argument & mask == value`, on the low 32 bits."""

    argument: int
    value: int
    mask: int = 0xFFFFFFFF


Clause = tuple[Test, ...]  # every test holds


@dataclass(frozen=True, slots=True)
class CallRule:
    """`unless`: allowed when one clause holds. `only_if`: refused when one clause holds. Neither: always refused."""

    calls: tuple[str, ...]
    refuses: str
    verdict: Verdict = "refuse"
    error: int = errno.EPERM
    unless: tuple[Clause, ...] = ()
    only_if: tuple[Clause, ...] = ()


def _rule(calls: str, refuses: str, verdict: Verdict = "refuse", error: int = errno.EPERM) -> CallRule:
    return CallRule(tuple(calls.split()), refuses, verdict, error)


# linux/sched.h, clone(2): every CLONE_NEW… flag, and the one that makes a thread.
_NEW_NAMESPACE_FLAGS = (0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
_CLONE_THREAD = 0x10000
_NO_NAMESPACES = Test(0, 0, mask=sum(_NEW_NAMESPACE_FLAGS))
_TYPE = 0xF  # socket(2): the type without SOCK_NONBLOCK and SOCK_CLOEXEC
_UNIX_STREAM: Clause = (Test(0, socket.AF_UNIX), Test(1, socket.SOCK_STREAM, _TYPE))
_AF_NETLINK, _NETLINK_ROUTE = 16, 0  # getaddrinfo asks it which addresses this machine has
_INTERNET: tuple[Clause, ...] = tuple(
    (Test(0, family), Test(1, kind, _TYPE))
    for family in (socket.AF_INET, socket.AF_INET6)
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)
)

ALWAYS: tuple[CallRule, ...] = (
    _rule(
        "ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp get_robust_list"
        " move_pages migrate_pages pidfd_open pidfd_getfd pidfd_send_signal perf_event_open userfaultfd",
        "looking into another process",
    ),
    _rule("io_uring_setup io_uring_enter io_uring_register", "io_uring, which passes by every rule below"),
    _rule("memfd_create memfd_secret execveat", "running code that is not in a file of its own"),
    _rule("bpf", "loading a program into the kernel"),
    _rule(
        "mount umount2 pivot_root chroot open_tree move_mount fsopen fsconfig fsmount fspick mount_setattr",
        "changing what is mounted",
    ),
    _rule("unshare setns", "entering a namespace, where new kernel surface opens"),
    _rule("name_to_handle_at open_by_handle_at fanotify_init", "reaching files without a path"),
    _rule("add_key request_key keyctl", "the user's keyring"),
    _rule(
        "shmget shmat shmctl semget semop semctl semtimedop msgget msgsnd msgrcv msgctl mq_open mq_unlink",
        "System V and POSIX messages, which reach other programs of this user",
    ),
    _rule(
        "init_module delete_module finit_module kexec_load kexec_file_load reboot swapon swapoff acct quotactl"
        " quotactl_fd syslog iopl ioperm settimeofday clock_settime clock_adjtime sethostname setdomainname",
        "administering the machine",
    ),
    _rule("personality", "another execution domain"),
    _rule("setsid setpgid", "leaving the process group the host will stop"),
    CallRule(
        ("prctl",),
        "outliving the host",
        only_if=((Test(0, 1),),),  # PR_SET_PDEATHSIG
    ),
    CallRule(
        ("ioctl",),
        "typing into a terminal, or choosing who gets a signal",
        only_if=tuple((Test(1, request),) for request in (0x5412, 0x541C, 0x8901, 0x8902)),  # TIOCSTI … SIOCSPGRP
    ),
    CallRule(
        ("fcntl",), "choosing who gets a signal", only_if=tuple((Test(1, command),) for command in (8, 15))
    ),  # F_SETOWN, F_SETOWN_EX
    # Its flags are behind a pointer. ENOSYS makes glibc, musl and Go fall back to clone, whose flags can be compared.
    _rule("clone3", "a call whose flags cannot be seen", "quiet", errno.ENOSYS),
    # A datagram socketpair could send to any address.
    CallRule(("socketpair",), "a socket pair that can send elsewhere", unless=(_UNIX_STREAM,)),
)

NO_NETWORK: tuple[CallRule, ...] = (
    CallRule(("socket",), "any socket but a unix stream", error=errno.EAFNOSUPPORT, unless=(_UNIX_STREAM,)),
    _rule("connect", "reaching another program", error=errno.EACCES),
)
NETWORK: tuple[CallRule, ...] = (
    CallRule(
        ("socket",),
        "any socket but TCP, UDP and a unix stream",
        error=errno.EAFNOSUPPORT,
        unless=(*_INTERNET, _UNIX_STREAM, (Test(0, _AF_NETLINK), Test(2, _NETLINK_ROUTE))),
    ),
)
NO_PROCESSES: tuple[CallRule, ...] = (
    CallRule(("clone",), "starting a process", unless=((_NO_NAMESPACES, Test(0, _CLONE_THREAD, _CLONE_THREAD)),)),
    _rule("fork vfork", "starting a process"),
)
EXECUTED_ONCE = _rule("execve", "running a program", "first", errno.EACCES)
NEVER_EXECUTED = _rule("execve", "running a program", error=errno.EACCES)
SYSTEM: tuple[CallRule, ...] = (
    CallRule(("clone",), "a process in a namespace of its own", unless=((_NO_NAMESPACES,),)),
)

# Landlock leaves a file's mode, owner, times and attributes alone, and they need no right to the file's content.
NO_FILESYSTEM: tuple[CallRule, ...] = (
    _rule(
        "chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes futimesat utimensat"
        " setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat",
        "changing a file's mode, owner, times or attributes",
    ),
    _rule("inotify_init inotify_init1 inotify_add_watch", "watching other programs' files"),
)
# Written down when Landlock will refuse them.
WATCHED_FILES: tuple[CallRule, ...] = (
    _rule("open openat openat2 creat", "opening a file", "watch", errno.EACCES),
    _rule(
        "mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat mknod mknodat"
        " truncate",
        "changing a directory or a file",
        "watch",
        errno.EACCES,
    ),
)


# Landlock's scope refuses these (ABI 6); watching them only writes them down.
WATCHED_SIGNALS = _rule("kill tgkill", "signalling another process", "watch")
WATCHED_CONNECT = _rule("connect", "reaching another program's unix socket", "watch")


def rules(permissions: Permissions, kernel: Kernel, *, pid: int, executes: bool = True) -> tuple[CallRule, ...]:
    """Every rule for a plugin whose process will be `pid`. `executes`: the launcher's last step is an `execve`."""
    return (
        *ALWAYS,
        *_own_process(permissions, kernel, pid),
        *_sockets(permissions, kernel),
        *(SYSTEM if permissions.system else (*NO_PROCESSES, EXECUTED_ONCE if executes else NEVER_EXECUTED)),
        *(() if permissions.filesystem else _files(kernel)),
    )


def _sockets(permissions: Permissions, kernel: Kernel) -> tuple[CallRule, ...]:
    if not permissions.network:
        return NO_NETWORK
    return (*NETWORK, WATCHED_CONNECT) if kernel.landlock_abi >= SCOPE_ABI else NETWORK


def _files(kernel: Kernel) -> tuple[CallRule, ...]:
    return (*NO_FILESYSTEM, *WATCHED_FILES) if kernel.landlock_abi else NO_FILESYSTEM


def _own_process(permissions: Permissions, kernel: Kernel, pid: int) -> tuple[CallRule, ...]:
    """Signals and scheduling, for itself alone. With children (`system`), signals are left to Landlock's scope."""
    # A plugin with children is a child itself (of its guard), with a number that is not known here.
    itself: tuple[Clause, ...] = ((Test(0, 0),),) if permissions.system else ((Test(0, 0),), (Test(0, pid),))
    steering = CallRule(
        ("prlimit64", "sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr"),
        "changing another process's limits or priority",
        unless=itself,
    )
    # setpriority(PRIO_PROCESS, 0), ioprio_set(IOPRIO_WHO_PROCESS, 0)
    zero = tuple((Test(0, which), Test(1, 0)) for which in (0, 1))
    priority = CallRule(("setpriority", "ioprio_set"), "changing another process's priority", unless=zero)
    if permissions.system:
        return (steering, priority, WATCHED_SIGNALS) if kernel.landlock_abi >= SCOPE_ABI else (steering, priority)
    # kill(0, …) reaches its own group, which holds nobody else.
    signals = CallRule(
        ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"), "signalling another process", unless=itself
    )
    return steering, priority, signals
