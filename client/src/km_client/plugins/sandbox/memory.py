"""Reading what a stopped system call points at: a path, an address, a descriptor's file.

Through /proc/<pid>/mem and /proc/<pid>/fd (proc(5)), which needs the ptrace access mode: a parent has it, also under
Yama's `ptrace_scope` 1. Where it is refused, an empty answer says so. What is read serves the log only: the plugin
could change it after we looked, so nothing is ever allowed because of it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import struct

_PAGE = 4096
_LONGEST_PATH = 4096  # PATH_MAX
_LONGEST_ADDRESS = 128  # struct sockaddr_storage
_AT_FDCWD = -100 & 0xFFFFFFFF


def read(pid: int, address: int, size: int) -> bytes:
    """Up to `size` bytes; fewer where the mapping ends, none where it may not be read."""
    try:
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.pread(memory, size, address)
    except (OSError, OverflowError):
        return b""
    finally:
        os.close(memory)


def text(pid: int, address: int) -> str:
    """The C string at `address`, page by page, because the page behind it may not be mapped."""
    found = b""
    while len(found) < _LONGEST_PATH and b"\0" not in found:
        at = address + len(found)
        part = read(pid, at, _PAGE - at % _PAGE)
        if not part:
            break
        found += part
    return os.fsdecode(found.split(b"\0", 1)[0])


def path(pid: int, directory: int, address: int) -> str:
    """The absolute path a call means, its `/proc/self` spelt out; empty when it cannot be read."""
    name = text(pid, address)
    if not name:
        return ""
    if not name.startswith("/"):
        name = os.path.join(_directory(pid, directory), name)  # noqa: PTH118 - Path drops what tells `a/` from `a`
    for own in ("/proc/self", "/proc/thread-self"):
        if name == own or name.startswith(own + "/"):
            name = f"/proc/{pid}{name[len(own) :]}"
    return name


def _directory(pid: int, directory: int) -> str:
    entry = "cwd" if directory & 0xFFFFFFFF == _AT_FDCWD else f"fd/{directory & 0xFFFFFFFF}"
    with contextlib.suppress(OSError):  # gone, or not ours to read: the name is shown as it was given
        return os.readlink(f"/proc/{pid}/{entry}")  # noqa: PTH115
    return ""


def address(pid: int, at: int, size: int) -> str:
    """A socket address as people write it: `203.0.113.7:443`, `[2001:db8::1]:53`, `/run/x.sock`, `@abstract`."""
    raw = read(pid, at, min(size & 0xFFFFFFFF, _LONGEST_ADDRESS))
    if len(raw) < 2:
        return "an address that cannot be read"
    family = struct.unpack("=H", raw[:2])[0]
    if family == socket.AF_UNIX:
        return _unix(raw[2:])
    if family == socket.AF_INET and len(raw) >= 8:
        return f"{ipaddress.ip_address(raw[4:8])}:{int.from_bytes(raw[2:4], 'big')}"
    if family == socket.AF_INET6 and len(raw) >= 24:
        return f"[{ipaddress.ip_address(raw[8:24])}]:{int.from_bytes(raw[2:4], 'big')}"
    return f"an address of family {family}"


def _unix(name: bytes) -> str:
    if name.startswith(b"\0"):
        return "@" + name[1:].rstrip(b"\0").decode(errors="backslashreplace")
    return os.fsdecode(name.split(b"\0", 1)[0])
