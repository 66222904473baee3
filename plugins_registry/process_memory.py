"""How much memory a process holds together with all it has started, as the kernel counts it.

    held_by(4711)      3_221_225_472

Each process has limits of its own, and many that keep to theirs can hold a machine's memory all the same. One look
reads a line for each process of the machine, some milliseconds. Memory that processes share is counted once for each of
them at first; only when that comes to more than `suspicious` are they asked for their share, which costs more.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_SHARE = re.compile(rb"^Pss:\s+(\d+) kB$", re.MULTILINE)
# proc(5), stat: after the name, which may hold anything and ends with the last parenthesis
_PARENT, _RESIDENT = 1, 21


def held_by(root: int, *, suspicious: int = 0) -> int:
    """In bytes; 0 when there is no such process (any more)."""
    resident = dict(_tree(root))
    total = sum(resident.values())
    return total if total <= suspicious else sum(_share(pid, bytes_) for pid, bytes_ in resident.items())


def _tree(root: int) -> Iterator[tuple[int, int]]:
    """(process, resident bytes) of `root` and its descendants."""
    resident: dict[int, int] = {}
    children: dict[int, list[int]] = defaultdict(list)
    for entry in os.scandir(_PROC):
        fields = _fields(int(entry.name)) if entry.name.isdigit() else []
        if fields:
            resident[int(entry.name)] = int(fields[_RESIDENT]) * _PAGE_BYTES
            children[int(fields[_PARENT])].append(int(entry.name))
    left = [root]
    while left:
        pid = left.pop()
        left += children[pid]
        if pid in resident:
            yield pid, resident[pid]


def _fields(pid: int) -> list[bytes]:
    """Nothing when it has ended meanwhile."""
    try:
        return (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _share(pid: int, resident: int) -> int:
    """Its part of what it shares, too; all of it where this user may not ask."""
    try:
        found = _SHARE.search((_PROC / str(pid) / "smaps_rollup").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return 0
    except PermissionError:
        return resident
    return int(found[1]) * 1024 if found else resident
