"""How large a package may be, and how much larger unpacked: what a stranger's file may cost before it is trusted."""

from __future__ import annotations

from dataclasses import dataclass

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """In bytes, unless the name says otherwise. A Go plugin is 3 MB packed, 9 MB unpacked; a Python one a few KB."""

    archive: int = 128 * _MIB
    entry: int = 128 * _MIB  # unpacked
    total: int = 256 * _MIB  # unpacked
    entries: int = 5_000
    directories: int = 5_000  # each costs an inode, and a name may hold a hundred of them
    ratio: int = 200  # unpacked to packed; deflate reaches 1,032 on zeros, programs and text 2 to 10
    ratio_floor: int = _MIB  # what is smaller unpacked does no harm, whatever its ratio


LIMITS = Limits()
