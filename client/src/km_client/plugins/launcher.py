"""Started as a program of its own; applies the sandbox to itself and becomes the plugin.

    $ python -I -S -B -c "…; import launcher; launcher.main()" 7 …      # 7: a socket to the host

    host ──▶ the plan, marshalled (sandbox/plan.py)
    host ◀── {"failed": {"private root": "unshare: …"}, "error": "", "exec": 0}, with the seccomp listener's descriptor
    host ◀── end of file: the plugin's program runs now   or   {…, "error": "/p/x: Exec format error", "exec": 8}

Promises: nothing of the host's environment, descriptors, signal mask, ignored signals or capabilities reaches the
plugin; it dies with the host; a step that fails ends the start when the plan is strict and is reported when it is not.
Standard library only, and little of it: it starts in 15 ms, of which importing `json` and `socket` would be 10 more.
"""

# `pathlib` would take 8 ms more, and executing a program without a shell is what this one is for.
# ruff: noqa: PTH103, PTH112, PTH120, PTH123, PTH211, S606

from __future__ import annotations

import _socket  # `socket` itself takes 5 ms, for enumerations that are not needed here
import ctypes
import marshal
import os
import resource
import struct
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Plan = dict[str, Any]

_libc = ctypes.CDLL(None, use_errno=True)
_IS_LINUX = sys.platform == "linux"  # elsewhere the plan has no step that needs it
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF, _MOUNT_SETATTR = 444, 445, 446, 442
_PATH_BENEATH = 1
# prctl(2)
_PDEATHSIG, _CAPBSET_DROP, _SECUREBITS, _NO_NEW_PRIVS, _CAP_AMBIENT = 1, 24, 28, 38, 47
_SIGKILL, _SIGTERM, _SIGNALS, _SIG_SETMASK = 9, 15, 64, 2
# mount(2), mount_setattr(2), unshare(2)
_RDONLY, _NOSUID, _NODEV, _BIND, _REC, _PRIVATE, _DETACH, _RECURSIVE = 1, 2, 4, 4096, 16384, 1 << 18, 2, 0x8000
_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x20000
_NEW_LISTENER = 8
_CAPABILITIES_OF_THIS_PROCESS = struct.pack("=Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, pid 0
_EXIT_REFUSED = 125


class _StepError(Exception):
    """A step of the plan that the kernel refused, with what it said."""


def main() -> None:
    host = _socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(host.fileno(), False)
    plan = _receive(host)
    failed: dict[str, str] = {}
    try:
        _prepare(plan, host.fileno())
        listener = _confine(plan, failed)
        _report(host, {"failed": failed, "error": "", "exec": 0}, listener)
        if listener is not None:
            os.close(listener)
        os.execve(plan["program"], plan["arguments"], plan["environment"])
    except _StepError as error:
        _report(host, {"failed": failed, "error": str(error), "exec": 0}, None)
    except OSError as error:
        _report(host, {"failed": failed, "error": f"{plan['program']}: {error.strerror}", "exec": error.errno}, None)
    os._exit(_EXIT_REFUSED)


def _receive(host: _socket.socket) -> Plan:
    """Four bytes of length, then the plan. The other end is our parent, over a socket pair nobody else has."""
    size = struct.unpack("=I", _exactly(host, 4))[0]
    plan: Plan = marshal.loads(_exactly(host, size))  # noqa: S302
    return plan


def _exactly(host: _socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = host.recv(size - len(data))
        if not part:  # the host is gone
            os._exit(_EXIT_REFUSED)
        data += part
    return data


def _report(host: _socket.socket, answer: dict[str, Any], listener: int | None) -> None:
    data = marshal.dumps(answer)
    passed = [] if listener is None else [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("=i", listener))]
    host.sendmsg([struct.pack("=I", len(data)) + data], passed)


def _prepare(plan: Plan, control: int) -> None:
    """What holds at every level: it dies with the host and inherits nothing."""
    _die_with_parent(plan["host_pid"], _SIGKILL)
    for number in range(1, _SIGNALS + 1):  # an ignored one stays ignored across exec
        _libc.signal(number, None)
    if plan["guard"]:
        _become_guarded(control)
    _libc.sigprocmask(_SIG_SETMASK, bytes(128), None)
    os.umask(0o077)


def _confine(plan: Plan, failed: dict[str, str]) -> int | None:
    """Every step in the one order that works: mounts need capabilities, Landlock forbids them, seccomp forbids all."""
    steps: tuple[tuple[str, Callable[[Plan], None]], ...] = (
        ("limits", _limit),
        ("private root", _private_root),
        ("directory", lambda plan: os.chdir(plan["directory"])),
        ("capabilities", _drop_capabilities),
        ("landlock", _landlock),
    )
    for name, step in steps:
        _attempt(plan, failed, name, step)
    _die_with_parent(os.getppid() if plan["guard"] else plan["host_pid"], _SIGKILL)  # a new namespace may reset it
    try:
        return _seccomp(plan["filters"])
    except OSError as error:
        _failed(plan, failed, "seccomp", error)
        return None


def _attempt(plan: Plan, failed: dict[str, str], name: str, step: Callable[[Plan], None]) -> None:
    try:
        step(plan)
    except OSError as error:
        _failed(plan, failed, name, error)


def _failed(plan: Plan, failed: dict[str, str], name: str, error: OSError) -> None:
    failed[name] = str(error)
    if plan["strict"]:
        raise _StepError(f"{name}: {error}")


def _die_with_parent(parent: int, signal: int) -> None:
    """PR_SET_PDEATHSIG counts the parent's thread; the host spawns from one that lives as long as it does."""
    if _IS_LINUX:
        _check(_libc.prctl(_PDEATHSIG, signal, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it died before the call
        os._exit(_EXIT_REFUSED)


def _become_guarded(control: int) -> None:
    """Split in two: a child that goes on, and a guard that takes the whole group along when the host dies.

    Only a plugin that may have children needs it: they do not get a signal when the host dies.
    """
    only_sigterm = struct.pack("=Q", 1 << (_SIGTERM - 1)) + bytes(120)  # until the guard has its handler
    _libc.sigprocmask(_SIG_SETMASK, only_sigterm, None)
    host, guard = os.getppid(), os.getpid()
    child = os.fork()
    if child == 0:
        _die_with_parent(guard, _SIGKILL)
    else:
        # All it has: what the launcher opens takes the lowest free numbers, but `control` has the one it had in the host.
        os.closerange(0, max(64, control + 1))
        _guard(child, host)


def _guard(child: int, host: int) -> None:
    """Wait for the child and end as it ended. SIGTERM (the host died) ends the group, this process included."""
    import signal  # noqa: PLC0415 - only here

    signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    _die_with_parent(host, _SIGTERM)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the child's death, not a second core file
        _libc.signal(os.WTERMSIG(status), None)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _limit(plan: Plan) -> None:
    for which, wanted in plan["limits"]:
        hard = resource.getrlimit(which)[1]
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(which, (value, value))


def _drop_capabilities(plan: Plan) -> None:
    """None in any set, none to be had by exec: uid 0 becomes an ordinary number (capabilities(7), "SECBIT flags")."""
    if not _IS_LINUX or not plan["sandboxed"]:  # level `off`: the plugin keeps the rights of the person who runs it
        return
    if _has_capabilities():
        # A root without CAP_SETPCAP (some containers) cannot do these three; an empty permitted set and no_new_privs
        # are what takes the capabilities away, these make it so twice.
        _libc.prctl(_SECUREBITS, 0b101111, 0, 0, 0)  # NOROOT and NO_SETUID_FIXUP, both locked
        for capability in range(64):
            _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0)
        _libc.prctl(_CAP_AMBIENT, 4, 0, 0, 0)  # PR_CAP_AMBIENT_CLEAR_ALL
        _check(_libc.capset(_CAPABILITIES_OF_THIS_PROCESS, bytes(24)), "capset")
    _check(_libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")


def _has_capabilities() -> bool:
    data = ctypes.create_string_buffer(24)
    _check(_libc.capget(_CAPABILITIES_OF_THIS_PROCESS, data), "capget")
    effective, permitted = struct.unpack("=II", data.raw[:8])
    return bool(effective or permitted)


def _landlock(plan: Plan) -> None:
    if plan["landlock"] is None:
        return
    attributes, rules = plan["landlock"]
    size = ctypes.c_size_t(len(attributes))
    ruleset = _system_call(_CREATE_RULESET, "landlock_create_ruleset", attributes, size, ctypes.c_uint(0))
    for path, for_directory, for_file in rules:
        _grant(ruleset, path, for_directory, for_file)
    _system_call(_RESTRICT_SELF, "landlock_restrict_self", ctypes.c_int(ruleset), ctypes.c_uint(0))
    os.close(ruleset)


def _grant(ruleset: int, path: str, for_directory: int, for_file: int) -> None:
    try:
        at = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:  # gone since the plan was made: nothing left to grant
        return
    rights = for_directory if os.path.isdir(path) else for_file
    rule = struct.pack("=Qi", rights, at)
    _system_call(_ADD_RULE, f"landlock_add_rule {path}", ctypes.c_int(ruleset), _PATH_BENEATH, rule, ctypes.c_uint(0))
    os.close(at)


def _seccomp(filters: list[tuple[int, bytes]]) -> int | None:
    """Install the first filter the kernel takes. Returns the listener's descriptor, if it has one."""
    last: OSError | None = None
    for flags, code in filters:
        try:
            answer = _install(flags, code)
        except OSError as error:
            last = error
            continue
        return answer if flags & _NEW_LISTENER else None
    if last is not None:
        raise last
    return None


def _install(flags: int, code: bytes) -> int:
    class Program(ctypes.Structure):
        """`struct sock_fprog`."""

        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    loaded = Program(len(code) // 8, code)
    call = _SECCOMP[os.uname().machine]
    return _system_call(call, "seccomp", ctypes.c_uint(1), ctypes.c_uint(flags), ctypes.byref(loaded))


def _private_root(plan: Plan) -> None:
    """A root directory that holds the plan's paths and nothing else, in a mount namespace of our own."""
    root = plan["root"]
    if root is None:
        return
    uid, gid = os.getuid(), os.getgid()
    _check(_libc.unshare(_NEW_USER | _NEW_MOUNTS), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    _mount(None, "/", None, _REC | _PRIVATE)
    new = root["at"]
    _mount("tmpfs", new, "tmpfs", _NOSUID | _NODEV, "mode=0755,size=1m,nr_inodes=4096")
    for link, target in root["links"]:
        os.makedirs(os.path.dirname(new + link), exist_ok=True)
        os.symlink(target, new + link)
    _fill(new, root)
    _set_read_only(new, 0)
    os.chdir(new)
    _system_call(_PIVOT_ROOT[os.uname().machine], "pivot_root", b".", b".")
    _check(_libc.umount2(b".", _DETACH), "umount")
    os.chdir("/")


def _fill(new: str, root: dict[str, Any]) -> None:
    """Shorter paths first, so that a directory is there before what lies within it is mounted over it."""
    mounts = [(path, False) for path in root["read_only"]] + [(path, True) for path in root["writable"]]
    for path, writable in sorted(mounts, key=lambda mount: len(mount[0])):
        target = new + path
        if not os.path.lexists(target):
            os.makedirs(target if os.path.isdir(path) else os.path.dirname(target), exist_ok=True)
            if not os.path.isdir(path):
                os.close(os.open(target, os.O_CREAT | os.O_CLOEXEC, 0o600))
        _mount(path, target, None, _BIND | _REC)
        if not writable:
            _set_read_only(target, _RECURSIVE)


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    arguments = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    source_bytes, target_bytes, kind_bytes, data_bytes = arguments
    answer = _libc.mount(source_bytes, target_bytes, kind_bytes, ctypes.c_ulong(flags), data_bytes)
    _check(answer, f"mount {source or ''} {target}")


def _set_read_only(path: str, flags: int) -> None:
    attributes = struct.pack("=QQQQ", _RDONLY | _NOSUID, 0, 0, 0)
    at_working_directory = ctypes.c_int(-100)
    _system_call(
        _MOUNT_SETATTR, f"mount_setattr {path}", at_working_directory, os.fsencode(path), ctypes.c_uint(flags),
        attributes, ctypes.c_size_t(len(attributes)),
    )  # fmt: skip


def _system_call(call: int, name: str, *arguments: Any) -> int:
    return _check(_libc.syscall(ctypes.c_long(call), *arguments), name)


def _check(answer: int, name: str) -> int:
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return answer
