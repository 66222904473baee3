"""Landlock: which files a process may open and how, no TCP, no signal or abstract socket beyond its own domain.

Follows the kernel's Documentation/userspace-api/landlock.rst and landlock(7). A ruleset names the rights it *handles*
(refused everywhere) and rules give some of them back beneath a path. Rights an older kernel does not know are left out
of what is handled; `guarantees.py` says what that costs.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from km_client.plugins.sandbox.files import Access, FileRule

# linux/landlock.h, LANDLOCK_ACCESS_FS_*: the bit, and the ABI that brought it.
RIGHTS: dict[str, tuple[int, int]] = {
    "execute": (1 << 0, 1),
    "write_file": (1 << 1, 1),
    "read_file": (1 << 2, 1),
    "read_dir": (1 << 3, 1),
    "remove_dir": (1 << 4, 1),
    "remove_file": (1 << 5, 1),
    "make_char": (1 << 6, 1),
    "make_dir": (1 << 7, 1),
    "make_reg": (1 << 8, 1),
    "make_sock": (1 << 9, 1),
    "make_fifo": (1 << 10, 1),
    "make_block": (1 << 11, 1),
    "make_sym": (1 << 12, 1),
    "refer": (1 << 13, 2),
    "truncate": (1 << 14, 3),
    "ioctl_dev": (1 << 15, 5),
    "resolve_unix": (1 << 16, 9),
}
FOR_FILES = ("execute", "write_file", "read_file", "truncate", "ioctl_dev", "resolve_unix")

TCP_ABI, SCOPE_ABI, UNIX_PATH_ABI = 4, 6, 9
_BIND_AND_CONNECT_TCP = 0b11
_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11

_READ = ("read_file", "read_dir")
_WRITE = ("write_file", "truncate", "remove_file", "remove_dir", "make_reg", "make_dir", "make_sym", "refer")
GRANTS: dict[Access, tuple[str, ...]] = {
    "read": _READ,
    "run": (*_READ, "execute"),
    "write": (*_READ, *_WRITE),
    "socket": (*_READ, "write_file", "truncate", "remove_file", "make_reg", "make_sock"),
    "device": ("read_file", "write_file"),
    "all": tuple(RIGHTS),
}


def ruleset(abi: int, rules: Sequence[FileRule], *, network: bool) -> tuple[bytes, list[tuple[str, int, int]]]:
    """`struct landlock_ruleset_attr` for this ABI, and (path, rights of a directory, rights of a file) per rule."""
    handled = _mask(tuple(RIGHTS), abi)
    attributes = struct.pack(
        "=QQQ",
        handled,
        0 if network or abi < TCP_ABI else _BIND_AND_CONNECT_TCP,
        0 if abi < SCOPE_ABI else _ABSTRACT_SOCKETS_AND_SIGNALS,
    )
    size = 8 if abi < TCP_ABI else 16 if abi < SCOPE_ABI else 24  # a longer struct than the kernel's is refused
    granted = [(rule.path, _mask(GRANTS[rule.access], abi), _file_mask(GRANTS[rule.access], abi)) for rule in rules]
    return attributes[:size], granted


def _mask(rights: tuple[str, ...], abi: int) -> int:
    return sum(bit for bit, since in (RIGHTS[right] for right in rights) if since <= abi)


def _file_mask(rights: tuple[str, ...], abi: int) -> int:
    """A rule on a file that grants a directory's right is refused with EINVAL."""
    return _mask(tuple(right for right in rights if right in FOR_FILES), abi)
