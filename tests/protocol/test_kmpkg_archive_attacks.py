"""A package that is not exactly what the writer makes is refused, by a code of its own, naming the file at fault."""

from __future__ import annotations

import io
import re
import tracemalloc
from pathlib import Path

import pytest
from km_protocol.errors import PackageError, ProtocolError
from km_protocol.kmpkg import archive_directory, archive_reader, entry_names, package
from km_protocol.kmpkg.archive_reader import ArchiveReader
from km_protocol.kmpkg.limits import LIMITS, Limits

from tests.protocol import forged_packages as forged
from tests.protocol.forged_packages import ATTACKS, Attack, Forged

MIB = 1024 * 1024


def read_whole(data: bytes, limits: Limits = LIMITS) -> None:
    package.open_package(io.BytesIO(data), limits).listing()


def test_what_the_attacks_are_made_from_is_a_package() -> None:
    read_whole(forged.package())
    read_whole(forged.package(Forged(b"payload/z.py", b"z" * 1000, method=8)))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.title.replace(" ", "-"))
def test_it_is_refused(attack: Attack) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_whole(attack.build())
    assert caught.value.code == attack.code, str(caught.value)
    assert attack.names in str(caught.value)


def test_every_code_of_the_reader_has_an_attack() -> None:
    text = "".join(
        Path(str(module.__file__)).read_text() for module in (archive_directory, archive_reader, entry_names, package)
    )
    codes = {*re.findall(r'"(package_[a-z0-9_]*[a-z0-9])"', text)} - {
        "package_hash_differs",
        "package_too_large",
    }  # told elsewhere
    codes |= {f"package_name_{rule}" for rule in re.findall(r'return "(\w+)", f?"', text)}
    assert codes == {attack.code for attack in ATTACKS} - {"invalid_manifest"}


def test_every_code_is_documented() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "plugins" / "package.md").read_text()
    assert not [
        attack.code for attack in ATTACKS if f"`{attack.code}`" not in page and attack.code != "invalid_manifest"
    ]


def test_a_package_larger_than_allowed_is_not_read() -> None:
    with pytest.raises(PackageError) as caught:
        read_whole(forged.package(), Limits(archive=100))
    assert caught.value.code == "package_too_large"


def test_a_small_file_may_grow_as_much_as_it_likes() -> None:
    read_whole(forged.package(Forged(b"payload/zeros", bytes(500_000), method=8)))


def test_a_bomb_is_found_out_before_it_is_inflated() -> None:
    """64 MiB behind a header that says 200 bytes: what is passed on stays below the reader's piece."""
    bomb = Forged(b"payload/z", bytes(64 * MIB), method=8, size=200)
    archive = ArchiveReader(io.BytesIO(forged.package(bomb)))
    passed: list[int] = []
    with pytest.raises(PackageError, match="larger than its 200 bytes"):
        archive.copy(archive.entries[-1], lambda piece: passed.append(len(piece)))
    assert not passed


def test_memory_does_not_grow_with_an_entry() -> None:
    data = forged.package(Forged(b"payload/z", bytes(range(256)) * (64 * MIB // 256), method=8))
    archive = ArchiveReader(io.BytesIO(data), Limits(ratio=2000))
    tracemalloc.start()
    try:
        archive.copy(archive.entries[-1])
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()
