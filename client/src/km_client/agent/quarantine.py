"""A journal segment that cannot be read is taken out of the way, kept, and counted as a gap where it stood.

A copy goes to `refused/<run>-<segment>`; in the journal a segment of the same name then holds one gap record, so that
everything after it is read, and reading it again gives the same.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from km_client import paths
from km_client.capture.journal import DIRECTIONS, JournalError, encode_gap, read_segment, segment_header
from km_client.capture.losses import Loss
from km_client.capture.spool import SessionSpool


def unreadable_segments(spool: SessionSpool) -> list[Path]:
    """The segments that are no journal of a version we know."""
    return [path for direction in DIRECTIONS for path in spool.segments(direction) if not _is_readable(path)]


def set_aside(spool: SessionSpool, segment: Path, refused: Path) -> Path:
    """Move one away; where its copy is. Raises `OSError`; then it is still where it was."""
    direction = segment.name.partition("-")[0]
    stat = segment.stat()
    paths.make_private(refused)
    kept = refused / f"{spool.name}-{segment.name}"
    shutil.copyfile(segment, kept)
    gap = encode_gap((Loss("corrupt", 1, stat.st_size),), 0, stat.st_mtime_ns)
    new = segment.with_suffix(".new")
    new.write_bytes(segment_header(direction) + gap)
    new.replace(segment)
    return kept


def _is_readable(path: Path) -> bool:
    try:
        next(read_segment(path), None)
    except JournalError:
        return False
    return True
