"""The cap over all journals: when they grow past it, the oldest segments are given up, and that is recorded.

A segment that is given up shrinks, in place, to one gap record that counts what was in it, so the agent reports it
where it was. That needs no room on a full disk. The segments in use (the last of each direction of a living session)
are never touched, so the least the journals can take is those. Any relay does this for all, with or without an agent;
two that do it at once write the same bytes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from km_client.capture import lock, losses
from km_client.capture.journal import (
    DIRECTIONS,
    Direction,
    JournalError,
    Record,
    encode_gap,
    read_segment,
    segment_header,
    segment_name,
    segment_number,
)
from km_client.capture.losses import Loss

CAP_BYTES = 1024 * 1024 * 1024
GIVEN_UP_BYTES = 256  # a segment this small has nothing left to give


class _Segment(NamedTuple):
    modified_ns: int
    size: int
    path: Path


def enforce(directory: Path, cap_bytes: int) -> int:
    """Give up the oldest segments below `directory` until all fit in `cap_bytes`. Returns how many were given up.

    Raises `OSError` if a file cannot be read or written; those before it stay given up.
    """
    excess = sum(segment.size for segment in _look(directory.glob("[!.]*/*.kmj"))) - cap_bytes
    if excess <= 0:
        return 0
    count = 0
    for segment in sorted(_look(_finished(directory))):
        if excess > 0 and segment.size > GIVEN_UP_BYTES:
            freed = _give_up(segment)
            excess -= freed
            count += freed > 0
    return count


def _look(paths: Iterable[Path]) -> Iterator[_Segment]:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):  # acknowledged and deleted meanwhile
            stat = path.stat()
            yield _Segment(stat.st_mtime_ns, stat.st_size, path)


def _finished(directory: Path) -> Iterator[Path]:
    """The segments to which nothing will be added."""
    for session in directory.glob("[!.]*"):
        alive = lock.is_held(session / "status")
        for direction in DIRECTIONS:
            segments = sorted(session.glob(f"{direction}-*.kmj"), key=segment_number)
            yield from segments[:-1] if alive else segments


def _give_up(segment: _Segment) -> int:
    """Shrink one segment to the count of what it held, and join it to the one before. Returns the bytes freed."""
    path = segment.path
    direction: Direction = path.name.partition("-")[0]
    before = path.with_name(segment_name(direction, segment_number(path) - 1))
    try:
        earlier = _tally(before)[0] if before.exists() and before.stat().st_size <= GIVEN_UP_BYTES else ()
        lost, last = _tally(path)
    except (FileNotFoundError, JournalError):
        return 0  # acknowledged and deleted meanwhile, or not ours to change
    if last is None:
        return 0
    gap = encode_gap(losses.total((*earlier, *lost)), last.monotonic_ns, last.unix_ns)
    _overwrite(path, segment_header(direction) + gap)
    if earlier:
        before.unlink(missing_ok=True)
    return segment.size - len(gap)


def _tally(path: Path) -> tuple[tuple[Loss, ...], Record | None]:
    """What giving up this segment would lose, and its last record."""
    lost: list[Loss] = []
    last = None
    for last in read_segment(path):
        lost.extend(last.lost or (Loss("capped", 1, len(last.payload)),))
    return losses.total(lost), last


def _overwrite(path: Path, content: bytes) -> None:
    """In place: a reader in the middle meets either content or an end, and the next time the gap."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, content)
        os.ftruncate(fd, len(content))
    finally:
        os.close(fd)
