"""The sandbox, step by step: resource limits, capabilities, Landlock, seccomp. `OSError`: the kernel refused."""

from __future__ import annotations

import ctypes
import os
import resource
import struct
from typing import TYPE_CHECKING

from km_client.plugins.launcher.kernel import IS_LINUX, check, libc, system_call

if TYPE_CHECKING:
    from typing import Any

    Plan = dict[str, Any]

_SECCOMP = {"x86_64": 317, "aarch64": 277}
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH = 1
_CAPBSET_DROP, _SECUREBITS, _NO_NEW_PRIVS, _CAP_AMBIENT = 24, 28, 38, 47  # prctl(2)
_NEW_LISTENER = 8
_CAPABILITIES_OF_THIS_PROCESS = struct.pack("=Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, pid 0


def limit(plan: Plan) -> None:
    for which, wanted in plan["limits"]:
        hard = resource.getrlimit(which)[1]
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(which, (value, value))


def drop_capabilities(plan: Plan) -> None:
    """None in any set, none to be had by exec: uid 0 becomes an ordinary number (capabilities(7), "SECBIT flags")."""
    if not IS_LINUX or not plan["sandboxed"]:  # level `off`: the plugin keeps the rights of the person who runs it
        return
    if _has_capabilities():
        # A root without CAP_SETPCAP (some containers) cannot do these three; an empty permitted set and no_new_privs
        # are what takes the capabilities away, these make it so twice.
        libc.prctl(_SECUREBITS, 0b101111, 0, 0, 0)  # NOROOT and NO_SETUID_FIXUP, both locked
        for capability in range(64):
            libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0)
        libc.prctl(_CAP_AMBIENT, 4, 0, 0, 0)  # PR_CAP_AMBIENT_CLEAR_ALL
        check(libc.capset(_CAPABILITIES_OF_THIS_PROCESS, bytes(24)), "capset")
    check(libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")


def _has_capabilities() -> bool:
    data = ctypes.create_string_buffer(24)
    check(libc.capget(_CAPABILITIES_OF_THIS_PROCESS, data), "capget")
    effective, permitted = struct.unpack("=II", data.raw[:8])
    return bool(effective or permitted)


def landlock(plan: Plan) -> None:
    if plan["landlock"] is None:
        return
    attributes, rules = plan["landlock"]
    size = ctypes.c_size_t(len(attributes))
    ruleset = system_call(_CREATE_RULESET, "landlock_create_ruleset", attributes, size, ctypes.c_uint(0))
    for path, for_directory, for_file in rules:
        _grant(ruleset, path, for_directory, for_file)
    system_call(_RESTRICT_SELF, "landlock_restrict_self", ctypes.c_int(ruleset), ctypes.c_uint(0))
    os.close(ruleset)


def _grant(ruleset: int, path: str, for_directory: int, for_file: int) -> None:
    try:
        at = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:  # gone since the plan was made: nothing left to grant
        return
    rights = for_directory if os.path.isdir(path) else for_file  # noqa: PTH112 - `pathlib` would take 8 ms
    rule = struct.pack("=Qi", rights, at)
    system_call(_ADD_RULE, f"landlock_add_rule {path}", ctypes.c_int(ruleset), _PATH_BENEATH, rule, ctypes.c_uint(0))
    os.close(at)


def seccomp(filters: list[tuple[int, bytes]]) -> int | None:
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
    return system_call(call, "seccomp", ctypes.c_uint(1), ctypes.c_uint(flags), ctypes.byref(loaded))
