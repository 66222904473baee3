"""`monitor --plugin X.kmpkg`: a package is read strictly, unpacked once and whole, and runs like its directory."""

from __future__ import annotations

import gc
import hashlib
import io
import os
import shutil
import stat
import sys
import threading
from pathlib import Path

import pytest
from km_client.plugins import discovery, package_store, plugin_files
from km_client.plugins.discovery import ORIGIN_WORDS, PluginSpec
from km_client.plugins.errors import RefusedError
from km_client.plugins.package_store import KEPT, PackageStore
from km_client.plugins.packages import unpack
from km_client.plugins.supervisor import PluginSupervisor
from km_plugin_sdk import packing, project
from km_protocol.kmpkg import package
from km_protocol.kmpkg.archive_format import Entry
from km_protocol.kmpkg.archive_reader import ArchiveReader
from km_protocol.kmpkg.archive_writer import write_archive
from km_protocol.kmpkg.package import PayloadFile

from tests.client.plugins.conftest import MakePlugin, lay_out
from tests.client.plugins.supervised import begin, event, trying, until
from tests.protocol import forged_packages as forged
from tests.protocol.forged_packages import ATTACKS, Attack, Forged


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where packages are unpacked to."""
    monkeypatch.setenv("KM_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data" / "plugins" / "unpacked"


def put(directory: Path, data: bytes, name: str = "") -> Path:
    """A package of that content, under its own name."""
    path = directory / (name or package.file_name("forged", hashlib.sha256(data).hexdigest()))
    path.write_bytes(data)
    return path


def packed(directory: Path) -> Path:
    """The package of a plugin that is built already."""
    out = io.BytesIO()
    write_archive(packing.members(directory, project.read_manifest(directory)), out)
    return put(directory.parent, out.getvalue())


def places(store: Path) -> set[str]:
    """The directories there, finished or not."""
    return {path.name for path in store.iterdir() if path.is_dir()} if store.is_dir() else set()


def contents(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def refusal(path: Path) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        discovery.find(path)
    return caught.value


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.title.replace(" ", "-"))
def test_an_attack_is_refused_with_its_code_and_leaves_nothing(tmp_path: Path, store: Path, attack: Attack) -> None:
    path = put(tmp_path, attack.build(), "evil.kmpkg")
    before = set(tmp_path.iterdir())
    error = refusal(path)
    assert error.code == {"invalid_manifest": "manifest_invalid"}.get(attack.code, attack.code)
    assert str(path) in str(error) and attack.names in str(error) and error.hint
    assert places(store) == set() and set(tmp_path.iterdir()) - before <= {tmp_path / "data"}


@pytest.mark.skipif(sys.platform != "linux", reason="the launcher is Linux's")
@pytest.mark.parametrize("kind", ["python", "go"])
def test_a_plugin_runs_from_its_package_in_its_sandbox(
    supervisor: PluginSupervisor, tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    directory = lay_out(tmp_path, request, kind)
    path = packed(directory)
    shutil.rmtree(directory)
    spec = discovery.find(path)
    assert (spec.path, spec.origin, spec.signed) == (path, "package", False)
    assert ORIGIN_WORDS[spec.origin] == "an unsigned development package"
    assert begin(supervisor, spec).state == "running"
    own = spec.own[0] / "manifest.json"
    supervisor.offer([*map(event, range(50)), trying("write", path=str(own)), trying("remove", path=str(own))])
    status = until(supervisor, lambda status: status.handled + status.failed == 52)
    assert (status.failed, status.path) == (2, str(path))
    assert own.exists()


def test_the_unpacked_plugin_is_its_directory_read_only_and_private(tmp_path: Path, make_plugin: MakePlugin) -> None:
    spec = make_plugin("go")
    found = discovery.find(packed(spec.path))
    (directory,) = found.own
    assert contents(directory) == contents(spec.path)
    assert found.manifest == spec.manifest and found.program == directory / "probe"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (directory, *directory.iterdir())}
    assert modes == {"plugin": 0o700, "manifest.json": 0o400, "probe": 0o500}
    assert stat.S_IMODE(directory.parent.parent.stat().st_mode) == 0o700


def test_a_directory_and_a_binary_say_what_they_are(make_plugin: MakePlugin) -> None:
    spec = make_plugin("go")
    assert (spec.origin, discovery.find(spec.path / "probe").origin) == ("directory", "binary")


def test_what_the_plugin_itself_lacks_is_said_of_the_package(tmp_path: Path) -> None:
    """Here: a Go plugin whose program is no program."""
    entries = forged.manifest(runtime="go", entry="forged"), Forged(b"payload/forged", attributes=0o100755 << 16)
    path = put(tmp_path, forged.archive(*entries))
    error = refusal(path)
    assert error.code == "program_architecture" and str(path) in str(error)


def test_under_its_own_name_a_package_is_refused_for_any_bit_even_one_that_changes_nothing(tmp_path: Path) -> None:
    """One of the unused bits after a deflate stream, which changes nothing that is unpacked."""
    files = forged.manifest(), forged.main(), Forged(b"payload/z.py", b"print('z')\n" * 99, method=8)
    data = bytearray(forged.archive(*files))
    path = put(tmp_path, bytes(data))
    data[ArchiveReader(io.BytesIO(data)).entries[-1].end - 1] ^= 0x80
    ArchiveReader(io.BytesIO(data))
    path.write_bytes(data)
    assert refusal(path).code == "package_hash_differs"
    assert discovery.find(put(tmp_path, bytes(data), "renamed.kmpkg")).origin == "package"


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.kmpkg")
    assert refusal(tmp_path / "pipe.kmpkg").code == "package_not_archive"
    error = refusal(tmp_path / "nothing.kmpkg")
    assert error.code == "plugin_missing" and "build --package" in error.hint


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    error = refusal(put(tmp_path, forged.package()))
    assert error.code == "package_not_unpacked" and str(tmp_path / "data") in str(error)


def test_a_process_that_is_stopped_while_it_unpacks_stops_nobody_else(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_store, "WAIT_SECONDS", 0.05)
    path = put(tmp_path, forged.package())
    with PackageStore(store).locked():
        error = refusal(path)
    assert error.code == "package_not_unpacked" and "another process" in str(error)
    assert discovery.find(path).origin == "package"


def test_it_is_unpacked_once(tmp_path: Path, store: Path) -> None:
    path = put(tmp_path, forged.package())
    first = unpack(path, into=store)
    inode = (first.directory / "main.py").stat().st_ino
    second = unpack(path, into=store)
    assert (second.directory, second.payload_digest) == (first.directory, first.payload_digest)
    assert (second.directory / "main.py").stat().st_ino == inode
    with path.open("rb") as file:
        assert package.payload_digest(package.open_package(file).listing()) == first.payload_digest


def test_what_was_changed_since_is_unpacked_anew(tmp_path: Path, store: Path) -> None:
    path = put(tmp_path, forged.package(Forged(b"payload/site/x.py")))
    directory = unpack(path, into=store).directory
    wanted = contents(directory)

    def spoil_content() -> None:
        (directory / "main.py").chmod(0o600)
        (directory / "main.py").write_text("x = 2\n")

    def spoil_manifest() -> None:
        (directory / "manifest.json").unlink()
        (directory / "manifest.json").write_bytes(wanted["manifest.json"].replace(b"false", b"true"))

    def replace_by_link() -> None:
        (directory / "main.py").rename(tmp_path / "main.py")
        (directory / "main.py").symlink_to(tmp_path / "main.py")

    for spoil in (
        spoil_content,
        spoil_manifest,
        replace_by_link,
        (directory / "site" / "x.py").unlink,
        lambda: (directory / "site" / "evil.py").write_text("1"),
        (directory.parent / "listing").unlink,
        lambda: shutil.rmtree(directory),
    ):
        spoil()
        assert contents(unpack(path, into=store).directory) == wanted
        assert not (directory / "main.py").is_symlink()
        assert places(store) == {directory.parent.name}


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path, store: Path) -> None:
    (store / ".making-killed" / "plugin").mkdir(parents=True)
    (store / ".making-killed" / "plugin" / "main.py").write_text("half")
    unpacked = unpack(put(tmp_path, forged.package()), into=store)
    assert places(store) == {unpacked.sha256}


def test_a_package_that_changes_while_it_is_read_is_not_unpacked(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, forged.package(), "mine.kmpkg")
    real = plugin_files.extract

    def extract(archive: ArchiveReader, entry: Entry, name: str, directory: Path) -> PayloadFile:
        with path.open("ab") as file:
            file.write(b"more")
        return real(archive, entry, name, directory)

    monkeypatch.setattr(plugin_files, "extract", extract)
    assert refusal(path).code == "package_changed"
    assert places(store) == set()


def test_agents_that_unpack_at_once_find_one_plugin(tmp_path: Path, store: Path) -> None:
    path = put(tmp_path, forged.package(*(Forged(b"payload/%03d.py" % n) for n in range(200))))
    found: list[Path] = []
    ready = threading.Barrier(6)

    def work() -> None:
        ready.wait()
        found.append(unpack(path, into=store).directory)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6 and len(set(found)) == 1
    assert len(contents(found[0])) == 202 and places(store) == {found[0].parent.name}


def test_old_ones_go_but_never_one_that_may_be_started(tmp_path: Path, store: Path) -> None:
    def find(number: int) -> PluginSpec:
        return discovery.find(put(tmp_path, forged.package(Forged(b"payload/z.py", b"%d" % number))))

    held = find(0)
    for number in range(1, KEPT + 5):
        find(number)
    assert len(places(store)) == KEPT + 1 and held.own[0].is_dir()
    oldest = held.own[0]
    del held
    gc.collect()
    find(KEPT + 5)
    assert len(places(store)) == KEPT and not oldest.exists()
    assert {path.stem for path in store.glob("?*.lock")} == places(store)


def test_what_was_used_again_is_not_old(tmp_path: Path, store: Path) -> None:
    paths = [put(tmp_path, forged.package(Forged(b"payload/z.py", b"%d" % number))) for number in range(KEPT + 1)]
    first = unpack(paths[0], into=store).directory
    for path in paths[1:]:
        unpack(paths[0], into=store)
        unpack(path, into=store)
    assert first.is_dir() and len(places(store)) == KEPT
