"""Read the orders, confine this process, become the plugin.

    $ python -I -S -c "import sys; sys.path.append(sys.argv[2]); from … import start; start.main()" 7 /…/src

    host ──▶ the plan, marshalled (sandbox/plan.py), over the socket that is descriptor 7
    host ◀── {"failed": {"private root": "unshare: …"}, "error": "", "exec": 0}, with the seccomp listener's descriptor
    host ◀── end of file: the plugin's program runs now   or   {…, "error": "/p/x: Exec format error", "exec": 8}

Promises: nothing of the host's environment, descriptors, signal mask, ignored signals or capabilities reaches the
plugin; it dies with the host; a step that fails ends the start when the plan is strict and is reported when it is not.
"""

from __future__ import annotations

import _socket  # `socket` itself takes 5 ms, for enumerations that are not needed here
import marshal
import os
import struct
import sys
from typing import TYPE_CHECKING

from km_client.plugins.launcher import python, steps
from km_client.plugins.launcher.kernel import EXIT_REFUSED, SIG_SETMASK, SIGKILL, die_with_parent, libc

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Plan = dict[str, Any]

_SIGNALS, _SIGPIPE, _SIGXFSZ, _IGNORE = 64, 13, 25, 1


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
    except (_StepError, OSError) as error:
        _report(host, {"failed": failed, "error": str(error), "exec": 0}, None)
        os._exit(EXIT_REFUSED)
    _report(host, {"failed": failed, "error": "", "exec": 0}, listener)
    if listener is not None:
        os.close(listener)
    _become(plan, host)


def _become(plan: Plan, host: _socket.socket) -> None:
    """Either way `host` is closed now."""
    if plan["python"] is not None:
        host.close()
        python.run(plan["python"], plan["environment"])
        return
    try:
        os.execve(plan["program"], plan["arguments"], plan["environment"])  # noqa: S606 - no shell is the point
    except OSError as error:
        message = f"{plan['program']}: {error.strerror}"
        _report(host, {"failed": {}, "error": message, "exec": error.errno}, None)
        os._exit(EXIT_REFUSED)


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
            os._exit(EXIT_REFUSED)
        data += part
    return data


def _report(host: _socket.socket, answer: dict[str, Any], listener: int | None) -> None:
    data = marshal.dumps(answer)
    passed = [] if listener is None else [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("=i", listener))]
    host.sendmsg([struct.pack("=I", len(data)) + data], passed)


def _prepare(plan: Plan, control: int) -> None:
    """What holds at every level: it dies with the host and inherits nothing."""
    die_with_parent(plan["host_pid"], SIGKILL)
    for number in range(1, _SIGNALS + 1):  # an ignored one stays ignored across exec
        libc.signal(number, None)
    if plan["guard"]:
        from km_client.plugins.launcher.guard import become_guarded  # noqa: PLC0415 - most plugins have none

        become_guarded(control)
    libc.sigprocmask(SIG_SETMASK, bytes(128), None)
    if plan["python"] is not None:
        for number in (_SIGPIPE, _SIGXFSZ):  # as every Python has them: the call fails, the process does not end
            libc.signal(number, _IGNORE)
        python.prepare(plan["python"])
    os.umask(0o077)


def _confine(plan: Plan, failed: dict[str, str]) -> int | None:
    """Every step in the one order that works: mounts need capabilities, Landlock forbids them, seccomp forbids all."""
    ordered: tuple[tuple[str, Callable[[Plan], None]], ...] = (
        ("limits", steps.limit),
        ("private root", _private_root),
        ("directory", lambda plan: os.chdir(plan["directory"])),
        ("capabilities", steps.drop_capabilities),
        ("landlock", steps.landlock),
    )
    for name, step in ordered:
        _attempt(plan, failed, name, step)
    die_with_parent(os.getppid() if plan["guard"] else plan["host_pid"], SIGKILL)  # a new namespace may reset it
    try:
        return steps.seccomp(plan["filters"])
    except OSError as error:
        _failed(plan, failed, "seccomp", error)
        return None


def _private_root(plan: Plan) -> None:
    if plan["root"] is not None:
        from km_client.plugins.launcher.private_root import enter  # noqa: PLC0415 - most plugins have none

        enter(plan["root"])


def _attempt(plan: Plan, failed: dict[str, str], name: str, step: Callable[[Plan], None]) -> None:
    try:
        step(plan)
    except OSError as error:
        _failed(plan, failed, name, error)


def _failed(plan: Plan, failed: dict[str, str], name: str, error: OSError) -> None:
    failed[name] = str(error)
    if plan["strict"]:
        raise _StepError(f"{name}: {error}")
