"""A root directory that holds the plan's paths and nothing else, in user and mount namespaces of our own.

Needed where a plugin has a network and no file system: `connect` is open then, and Landlock before ABI 9 does not see
which unix socket it reaches. Follows user_namespaces(7), mount_setattr(2) and pivot_root(2).
"""

# `pathlib` would take 8 ms more.
# ruff: noqa: PTH103, PTH112, PTH120, PTH123, PTH211

from __future__ import annotations

import ctypes
import os
import struct
from typing import TYPE_CHECKING

from km_client.plugins.launcher.kernel import check, libc, system_call

if TYPE_CHECKING:
    from typing import Any

_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_MOUNT_SETATTR = 442
# mount(2), mount_setattr(2), unshare(2)
_RDONLY, _NOSUID, _NODEV, _BIND, _REC, _PRIVATE, _DETACH, _RECURSIVE = 1, 2, 4, 4096, 16384, 1 << 18, 2, 0x8000
_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x20000


def enter(root: dict[str, Any]) -> None:
    """`root`: {"at": an empty directory, "links": [(link, target)], "read_only": [path], "writable": [path]}."""
    uid, gid = os.getuid(), os.getgid()
    check(libc.unshare(_NEW_USER | _NEW_MOUNTS), "unshare")
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
    system_call(_PIVOT_ROOT[os.uname().machine], "pivot_root", b".", b".")
    check(libc.umount2(b".", _DETACH), "umount")
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
    answer = libc.mount(source_bytes, target_bytes, kind_bytes, ctypes.c_ulong(flags), data_bytes)
    check(answer, f"mount {source or ''} {target}")


def _set_read_only(path: str, flags: int) -> None:
    attributes = struct.pack("=QQQQ", _RDONLY | _NOSUID, 0, 0, 0)
    at_working_directory = ctypes.c_int(-100)
    system_call(
        _MOUNT_SETATTR, f"mount_setattr {path}", at_working_directory, os.fsencode(path), ctypes.c_uint(flags),
        attributes, ctypes.c_size_t(len(attributes)),
    )  # fmt: skip
