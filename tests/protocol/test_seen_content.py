"""What was inflated once is not inflated again, and nothing else is taken for it."""

from __future__ import annotations

import io
import zlib
from dataclasses import replace
from typing import Any

import pytest
from km_protocol.errors import PackageError
from km_protocol.kmpkg.archive_format import Entry
from km_protocol.kmpkg.archive_reader import ArchiveReader
from km_protocol.kmpkg.archive_writer import Member, write_archive
from km_protocol.kmpkg.seen_content import SeenContent

TEXT = b"".join(b"line %d, " % number for number in range(9_000))  # packs, and not so well that it is stored


@pytest.fixture
def inflations(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One number for each stream that was begun."""
    begun: list[int] = []
    real = zlib.decompressobj

    def counted(bits: int) -> Any:
        begun.append(bits)
        return real(bits)

    monkeypatch.setattr(zlib, "decompressobj", counted)
    return begun


def packed(**members: bytes) -> bytes:
    out = io.BytesIO()
    write_archive([Member(name, lambda data=data: data) for name, data in members.items()], out)  # type: ignore[misc]
    return out.getvalue()


def opened(archive: bytes, seen: SeenContent | None) -> tuple[ArchiveReader, Entry]:
    reader = ArchiveReader(io.BytesIO(archive), seen=seen)
    return reader, next(entry for entry in reader.entries if entry.name == "a")


def test_the_same_bytes_in_two_archives_are_inflated_once(inflations: list[int]) -> None:
    seen = SeenContent()
    first, second = opened(packed(a=TEXT), seen), opened(packed(a=TEXT, b=b"and more"), seen)
    found, again = io.BytesIO(), io.BytesIO()
    assert first[0].copy(first[1], found.write) == second[0].copy(second[1], again.write)
    assert found.getvalue() == again.getvalue() == TEXT
    assert len(inflations) == 1


def test_whoever_wants_the_bytes_gets_them_though_nobody_kept_them(inflations: list[int]) -> None:
    seen = SeenContent()
    reader, entry = opened(packed(a=TEXT), seen)
    digest = reader.copy(entry)
    assert reader.copy(entry) == digest
    assert len(inflations) == 1, "its digest is known"
    assert reader.read(entry) == TEXT


def test_one_changed_bit_is_read_anew_and_refused() -> None:
    seen = SeenContent()
    good = packed(a=TEXT)
    reader, entry = opened(good, seen)
    reader.copy(entry)
    bad = bytearray(good)
    bad[entry.data_offset + entry.packed // 2] ^= 1
    reader, entry = opened(bytes(bad), seen)
    with pytest.raises(PackageError) as refused:
        reader.copy(entry)
    assert refused.value.code in {"package_damaged", "package_size"}


@pytest.mark.parametrize(("size", "crc"), [(len(TEXT) + 1, zlib.crc32(TEXT)), (len(TEXT), 1)])
def test_the_same_bytes_under_another_claim_are_read_anew_and_refused(size: int, crc: int) -> None:
    seen = SeenContent()
    reader, entry = opened(packed(a=TEXT), seen)
    reader.copy(entry)
    with pytest.raises(PackageError):
        reader.copy(replace(entry, size=size, crc=crc))


def test_what_was_refused_is_not_remembered() -> None:
    seen = SeenContent()
    reader, entry = opened(packed(a=TEXT), seen)
    wrong = replace(entry, crc=1)
    for _ in range(2):
        with pytest.raises(PackageError):
            reader.copy(wrong)
