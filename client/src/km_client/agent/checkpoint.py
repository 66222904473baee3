"""What an agent must remember of a session to go on exactly where another was killed.

    checkpoints/019aa….checkpoint
      slot 0   {"generation":6,"crc32":…,"bytes":812} {"head":…,"shipped":…}
      slot 1   {"generation":7, …

One file with two slots, written in turn and in place: a write that is torn leaves the other slot, and on a full disk,
where draining journals is what makes room, no new block is needed. Nothing is synced: the journals are not either.

`shipped` is where everything before is acknowledged; `head` is where understanding stood before the batch of records
that ends at `batch`. A batch is written down before any of its events is logged or shipped, so it is never cut another
way. `seams` are places where records came later than their moment: both sides of a seam keep their order.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import msgspec

from km_client import paths
from km_client.agent.position import Marks

SLOT_BYTES = 4096  # enough for a few requests in flight; a session that needs more gets larger slots
HEADER_BYTES = 96


class Batch(msgspec.Struct, frozen=True):
    """Records up to `marks`, and the end of the session if `finishes`."""

    marks: Marks
    finishes: bool = False


class Checkpoint(msgspec.Struct):
    """See above. Positions are kept encoded: most are written often and read once."""

    shipped: msgspec.Raw
    head: msgspec.Raw
    batch: Batch | None = None
    seams: list[Marks] = []


class _Header(msgspec.Struct):
    """`crc32` is of the content, begun with the generation: a header torn within its first digits deceives nobody."""

    generation: int
    crc32: int
    bytes: int


class _Slot(NamedTuple):
    generation: int
    content: bytes


class CheckpointFile:
    """One session's file. It is opened for each call, so a thousand sessions need no thousand descriptors."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._slot_bytes = SLOT_BYTES
        self._generation = 0
        self._newest_slot = 0

    def load(self) -> Checkpoint | None:
        """The newest whole one; `None` if there is none. Raises `OSError` if the file cannot be read."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        self._slot_bytes = max(SLOT_BYTES, len(content) // 2)
        slots = [_read_slot(content, number * self._slot_bytes) for number in (0, 1)]
        newest = max((slot for slot in slots if slot), default=None)
        if newest is None:
            return None
        self._generation, self._newest_slot = newest.generation, slots.index(newest)
        return msgspec.json.decode(newest.content, type=Checkpoint)

    def save(self, checkpoint: Checkpoint) -> None:
        """Raises `OSError`; then the one before is still there."""
        content = msgspec.json.encode(checkpoint)
        generation = self._generation + 1
        header = msgspec.json.encode(_Header(generation, crc32(content, generation), len(content))).ljust(HEADER_BYTES)
        slot = header + content + b"\n"
        if len(slot) > self._slot_bytes or not self.path.exists():
            self._rewrite(slot)
            self._newest_slot = 0
        else:
            self._write_slot(slot, 1 - self._newest_slot)
            self._newest_slot = 1 - self._newest_slot
        self._generation = generation

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def _write_slot(self, slot: bytes, number: int) -> None:
        fd = os.open(self.path, os.O_WRONLY)
        try:
            os.lseek(fd, number * self._slot_bytes, os.SEEK_SET)
            os.write(fd, slot)
        finally:
            os.close(fd)

    def _rewrite(self, slot: bytes) -> None:
        """A new file, with room to spare, in place of the old one."""
        size = self._slot_bytes
        while size < len(slot):
            size *= 2
        paths.make_private(self.path.parent)
        new = self.path.with_suffix(".new")
        try:
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(slot.ljust(size) + b" " * size)
            new.replace(self.path)
        except OSError:
            new.unlink(missing_ok=True)
            raise
        self._slot_bytes = size


def _read_slot(file: bytes, start: int) -> _Slot | None:
    try:
        header = msgspec.json.decode(file[start : start + HEADER_BYTES], type=_Header)
    except msgspec.DecodeError:
        return None
    content = file[start + HEADER_BYTES : start + HEADER_BYTES + header.bytes]
    return _Slot(header.generation, content) if crc32(content, header.generation) == header.crc32 else None
