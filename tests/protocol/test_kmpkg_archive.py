"""The same files give the same bytes; every reading of them gives the files back; no other bytes pass for them."""

from __future__ import annotations

import hashlib
import io
import random
import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from km_protocol.errors import PackageError, ProtocolError
from km_protocol.kmpkg import package
from km_protocol.kmpkg.archive_reader import ArchiveReader
from km_protocol.kmpkg.archive_writer import Member, write_archive
from km_protocol.kmpkg.entry_names import check_name
from km_protocol.kmpkg.limits import Limits

from tests.protocol.forged_packages import FILE, Forged, archive

CONSOLE_LOGGER = Path(__file__).resolve().parents[2] / "plugins" / "console-logger"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+@=,()- /"
names = st.text(LETTERS, min_size=1, max_size=40).filter(lambda name: _is_allowed(name.encode()))
contents = st.binary(max_size=300) | st.builds(
    lambda data, n: data * n, st.binary(min_size=1, max_size=8), st.integers(0, 9999)
)
trees = st.dictionaries(names, contents, min_size=1, max_size=8)


def _is_allowed(raw: bytes) -> bool:
    try:
        check_name(raw)
    except PackageError:
        return False
    return True


def written(files: dict[str, bytes], *programs: str, limits: Limits | None = None) -> bytes:
    out = io.BytesIO()
    members = [Member(name, lambda data=data: data, name in programs) for name, data in files.items()]  # type: ignore[misc]
    write_archive(members, out, limits or Limits())
    return out.getvalue()


def read(data: bytes) -> dict[str, bytes]:
    reader = ArchiveReader(io.BytesIO(data))
    return {entry.name: reader.read(entry) for entry in reader.entries}


def small_package() -> dict[str, bytes]:
    """A real plugin's."""
    files = {f"payload/{path.name}": path.read_bytes() for path in sorted(CONSOLE_LOGGER.glob("*.py"))}
    return {"km/manifest.json": (CONSOLE_LOGGER / "manifest.json").read_bytes()} | files


def refused(files: dict[str, bytes], **limits: int) -> str:
    with pytest.raises(PackageError) as caught:
        written(files, limits=Limits(**limits))
    return caught.value.code


@given(trees, st.randoms(use_true_random=False))
def test_what_was_written_is_read_back_and_the_order_does_not_matter(
    files: dict[str, bytes], order: random.Random
) -> None:
    try:
        data = written(files)
    except PackageError as error:
        assert error.code in {"package_duplicate", "package_file_and_directory"}
        return
    shuffled = list(files.items())
    order.shuffle(shuffled)
    assert written(dict(shuffled)) == data
    assert read(data) == files
    with zipfile.ZipFile(io.BytesIO(data)) as other:  # anybody's reader sees the same
        assert {name: other.read(name) for name in other.namelist()} == files


def test_a_package_is_these_very_bytes() -> None:
    """Spelt out by another hand. Deflate is left out of it, whose bytes depend on zlib's version."""
    program = Forged(b"payload/b", b"two", attributes=(FILE | 0o755) << 16)
    data = written({"payload/b": b"two", "km/a": b"one"}, "payload/b")
    assert data == archive(Forged(b"km/a", b"one"), program)
    assert data.startswith(b"PK\x03\x04\x14\0\0\0\0\0\0\0\x21\0") and data.endswith(b"\0\0\0\0")


def test_only_the_program_may_be_executed() -> None:
    reader = ArchiveReader(io.BytesIO(written({"payload/a": b"", "payload/b": b""}, "payload/b")))
    assert [entry.mode for entry in reader.entries] == [0o644, 0o755]


def test_no_single_flipped_bit_changes_what_a_package_holds() -> None:
    """Nearly every flip is refused. The rest is deflate saying the same in other bits, which the file's name tells."""
    data = written(small_package())
    sha256 = hashlib.sha256(data).hexdigest()
    reader = ArchiveReader(io.BytesIO(data))
    files, entries = read(data), reader.entries
    accepted = []
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            other = ArchiveReader(io.BytesIO(flipped))
            found = {entry.name: other.read(entry) for entry in other.entries}
        except PackageError:
            continue
        assert (found, other.entries) == (files, entries)
        accepted.append(bit)
        with pytest.raises(PackageError) as caught:
            package.check_file_name(package.file_name("console-logger", sha256), hashlib.sha256(flipped).hexdigest())
        assert caught.value.code == "package_hash_differs"
    assert all(any(entry.data_offset <= bit // 8 < entry.end for entry in entries) for bit in accepted)
    assert len(accepted) * 1000 < len(data) * 8


@given(st.data())
def test_a_package_with_other_bytes_spliced_in_is_refused_or_holds_the_same(data: st.DataObject) -> None:
    original = written(small_package())
    start = data.draw(st.integers(0, len(original)))
    end = data.draw(st.integers(start, min(start + 64, len(original))))
    spliced = original[:start] + data.draw(st.binary(max_size=64)) + original[end:]
    try:
        assert read(spliced) == small_package()
    except PackageError as error:
        assert error.code.startswith("package_") and str(error)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_package_are_refused_and_nothing_worse(data: bytes) -> None:
    for candidate in (data, b"PK\x03\x04" + data, data + b"PK\x05\x06" + bytes(18)):
        with pytest.raises(ProtocolError):
            package.open_package(io.BytesIO(candidate))


@given(st.text(max_size=40) | names | st.builds("{}/{}".format, st.text(max_size=9), st.text(max_size=9)))
def test_an_allowed_name_is_the_same_relative_path_on_every_system(name: str) -> None:
    raw = name.encode("utf-8", "surrogatepass")
    try:
        assert check_name(raw) == name
    except PackageError as error:
        assert error.code.startswith("package_name_") and str(error).isprintable()
        return
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    assert posix.parts == windows.parts == tuple(name.split("/"))
    assert not posix.is_absolute() and not windows.is_absolute() and not windows.is_reserved()
    assert not {".", ".."} & set(posix.parts)


def test_names_as_real_packages_have_them_are_allowed() -> None:
    for name in (
        "payload/site/google/_upb/_message.abi3.so",
        "payload/site/_rust.cpython-311-x86_64-linux-gnu.so",
        "payload/site/setuptools/script (dev).tmpl",
        "payload/site/torch-2.1.0+cpu.dist-info/RECORD",
        "payload/site/PIL/.dylibs/libjpeg.62.dylib",
        "payload/nullable.py",
        "payload/console/aux_.py",
    ):
        assert check_name(name.encode()) == name


def test_the_writer_refuses_what_the_reader_would() -> None:
    assert refused({}) == "package_empty"
    assert refused({"payload/../x": b""}) == "package_name_traversal"
    assert refused({"payload/ü": b""}) == "package_name_characters"
    assert refused({"payload/\udcff": b""}) == "package_name_characters"
    assert refused({"payload/a": b"", "payload/A": b""}) == "package_duplicate"
    assert refused({"payload/a": b"", "payload/b": b""}, entries=1) == "package_too_many_entries"
    assert refused({"payload/a": b"abc"}, entry=2) == "package_entry_too_large"
    assert refused({"payload/a": b"abc", "payload/b": b"abc"}, total=5) == "package_total_too_large"
    assert refused({"payload/a": random.Random(1).randbytes(500)}, archive=400) == "package_too_large"


def test_a_file_that_deflate_shrinks_like_a_bomb_is_stored_and_so_can_be_read() -> None:
    files = {"km/x": b"", "payload/zeros": bytes(3_000_000), "payload/text": b"a line of text\n" * 20}
    data = written(files)
    assert read(data) == files
    assert [entry.method for entry in ArchiveReader(io.BytesIO(data)).entries] == [0, 8, 0]


def test_the_payload_digest_depends_on_the_payload_alone() -> None:
    """Any other packing of the same files, and any other manifest, has the same; another byte or name has another."""
    files = small_package()

    def digest(changed: dict[str, bytes]) -> str:
        return package.payload_digest(package.open_package(io.BytesIO(written(changed))).listing())

    again = {"km/manifest.json": files["km/manifest.json"] + b"\n"}
    assert digest(files | again) == digest(files)
    assert digest(files | {"payload/main.py": files["payload/main.py"] + b"\n"}) != digest(files)
    assert digest(files | {"payload/more.py": b""}) != digest(files)


def test_the_payload_digest_is_computed_as_documented() -> None:
    files = {"b.py": b"two\n", "a b/c.py": b"one\n"}
    rows = [package.PayloadFile(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()]
    listing = (
        b"kmpkg payload 1\n"
        b"2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806 4 a b/c.py\n"
        b"27dd8ed44a83ff94d557f9fd0412ed5a8cbca69ea04922d88c01184a07300a5a 4 b.py\n"
    )
    assert package.payload_listing(rows) == listing
    assert package.payload_digest(listing) == hashlib.sha256(listing).hexdigest()


def test_a_file_called_like_another_package_is_refused_and_any_other_name_is_not() -> None:
    sha256 = "3f9a0c41d2e8" + "0" * 52
    assert package.file_name("slow-tools", sha256) == "km-plugin-slow-tools-3f9a0c41d2e8.kmpkg"
    for name in (
        "km-plugin-slow-tools-3f9a0c41d2e8.kmpkg",
        "mine.kmpkg",
        "km-plugin-slow-tools-3f9a0c41d2e9 (1).kmpkg",
    ):
        package.check_file_name(name, sha256)
    with pytest.raises(PackageError, match="changed or damaged"):
        package.check_file_name("km-plugin-slow-tools-3f9a0c41d2e9.kmpkg", sha256)
