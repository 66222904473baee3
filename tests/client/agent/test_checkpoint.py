"""A checkpoint is there whole or as it was before, on a torn write and on a full disk."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from km_client.agent.checkpoint import SLOT_BYTES, Batch, Checkpoint, CheckpointFile
from km_client.capture.spool import Mark


def checkpoint(number: int, size: int = 10) -> Checkpoint:
    raw = msgspec.Raw(msgspec.json.encode({"number": number, "x": "x" * size}))
    marks = {"request": Mark(1, number), "response": Mark(2, 16)}
    return Checkpoint(raw, raw, Batch(marks, True), [marks])


def number(found: Checkpoint | None) -> int:
    assert found is not None
    value: int = msgspec.json.decode(found.shipped)["number"]
    return value


@contextlib.contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """What a full disk does to files that grow."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints" / "run-1.checkpoint"


def test_the_last_one_saved_is_the_one_that_is_loaded(path: Path) -> None:
    assert CheckpointFile(path).load() is None
    file = CheckpointFile(path)
    for count in range(1, 6):
        file.save(checkpoint(count))
        found = CheckpointFile(path).load()
        assert number(found) == count
        assert found is not None and found.batch == checkpoint(count).batch and found.seams == checkpoint(count).seams


def test_a_write_torn_anywhere_leaves_the_one_before(path: Path) -> None:
    file = CheckpointFile(path)
    file.save(checkpoint(1))
    file.save(checkpoint(2))
    before = path.read_bytes()
    file.save(checkpoint(3))
    after = path.read_bytes()
    first = next(at for at in range(len(before)) if before[at] != after[at])
    last = max(at for at in range(len(before)) if before[at] != after[at])
    for torn_at in {*range(first + 1, first + 100), *range(first + 1, last + 1, 13)}:
        path.write_bytes(after[:torn_at] + before[torn_at:])
        assert number(CheckpointFile(path).load()) == 2


@pytest.mark.parametrize("next_size", [10, SLOT_BYTES * 5])
def test_after_growing_neither_torn_slot_loses_both(path: Path, next_size: int) -> None:
    file = CheckpointFile(path)
    file.save(checkpoint(1))
    file.save(checkpoint(2, SLOT_BYTES * 3))
    assert number(CheckpointFile(path).load()) == 2
    grown = path.read_bytes()
    again = CheckpointFile(path)
    again.load()
    again.save(checkpoint(3, next_size))
    if len(path.read_bytes()) == len(grown):
        half = len(grown) // 2
        path.write_bytes(grown[:half] + b"torn" + grown[half + 4 :])
        assert number(CheckpointFile(path).load()) == 2
    else:
        assert number(CheckpointFile(path).load()) == 3


def test_a_full_disk_stops_neither_writing_in_place_nor_the_reading_of_what_was_there(path: Path) -> None:
    file = CheckpointFile(path)
    file.save(checkpoint(1))
    with no_file_longer_than(2 * SLOT_BYTES):
        for count in (2, 3, 4):
            file.save(checkpoint(count))
        with pytest.raises(OSError, match="File too large"):
            file.save(checkpoint(5, SLOT_BYTES * 10))
        assert number(CheckpointFile(path).load()) == 4
        assert [found.name for found in path.parent.iterdir()] == [path.name]
    file.save(checkpoint(6, SLOT_BYTES * 10))
    assert number(CheckpointFile(path).load()) == 6


@pytest.mark.parametrize("content", [b"", b"{}", b"\0" * 8192, b'{"generation":1,"crc32":0,"bytes":5}' + b" " * 9000])
def test_a_file_that_is_no_checkpoint_counts_as_none(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    assert CheckpointFile(path).load() is None
    file = CheckpointFile(path)
    file.load()
    file.save(checkpoint(1))
    assert number(CheckpointFile(path).load()) == 1
