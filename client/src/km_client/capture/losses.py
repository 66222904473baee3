"""What was forwarded but not recorded: counted by reason, in records (chunks of one read) and bytes.

    Loss("disk_full", 12, 7200)          twelve chunks, 7,200 bytes, because the disk had no room

The reasons are numbered by their place in `REASONS`; numbers on disk are never reused.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable
from typing import NamedTuple

REASONS = (
    "disk_full",  # ENOSPC, EDQUOT, EFBIG: the disk, the quota or the file-size limit
    "unwritable",  # EACCES, EPERM, EROFS, ENOENT …: the directory cannot be made or written
    "io_error",  # anything else the system answered
    "capped",  # recorded, then given up because all journals together reached their cap
    "corrupt",  # recorded, but its checksum does not match any more
    "torn",  # the last record of a relay that was killed while it wrote
)
_REASON_OF = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "disk_full"),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP), "unwritable"
    ),
}
_ENTRY = struct.Struct("<BQQ")


class Loss(NamedTuple):
    reason: str
    records: int
    bytes: int


def reason_of(error: OSError) -> str:
    """The reason under which a failed write is counted."""
    return _REASON_OF.get(error.errno or 0, "io_error")


def total(losses: Iterable[Loss]) -> tuple[Loss, ...]:
    """One entry per reason, in the order of `REASONS`."""
    sums = {reason: Loss(reason, 0, 0) for reason in REASONS}
    for loss in losses:
        before = sums[loss.reason]
        sums[loss.reason] = Loss(loss.reason, before.records + loss.records, before.bytes + loss.bytes)
    return tuple(loss for loss in sums.values() if loss.records or loss.bytes)


def encode(losses: Iterable[Loss]) -> bytes:
    """17 bytes an entry: reason u8, records u64, bytes u64."""
    return b"".join(_ENTRY.pack(REASONS.index(loss.reason), loss.records, loss.bytes) for loss in losses)


def decode(data: bytes) -> tuple[Loss, ...]:
    """The inverse of `encode`. Raises `struct.error` or `IndexError` on bytes it did not make."""
    return tuple(Loss(REASONS[reason], records, size) for reason, records, size in _ENTRY.iter_unpack(data))
