"""The file itself: links, owner and mode, what is no file, a disk that is full, others who may not. Nothing is lost."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from km_client.errors import ClientError
from km_client.wrapping import clients, files, wrapper
from km_client.wrapping.clients import ConfigFile

from tests.client.commands.conftest import Km
from tests.client.monitored import KM_CLIENT
from tests.client.wrapping.homes import Home
from tests.client.wrapping.test_bad_input import PLAIN, refused


def test_a_link_stays_a_link(km: Km, home: Home, tmp_path: Path) -> None:
    target = tmp_path / "dotfiles" / "cursor.json"
    target.parent.mkdir()
    target.write_text(PLAIN)
    link = home.place("cursor")
    link.parent.mkdir()
    link.symlink_to(os.path.relpath(target, link.parent))
    assert km("wrap", "cursor").code == 0
    assert link.is_symlink() and KM_CLIENT in target.read_text()
    assert km("unwrap", "cursor").code == 0
    assert link.is_symlink() and target.read_text() == PLAIN


def test_links_that_lead_nowhere_are_refused(km: Km, home: Home) -> None:
    link = home.place("cursor")
    link.parent.mkdir()
    link.symlink_to("missing.json")
    done = km("wrap", "--all")
    assert done.code == 1 and "is a link to missing.json, where nothing is" in done.err
    link.unlink()
    link.symlink_to(link.name)
    done = km("wrap", "--all")
    assert done.code == 1 and ("lead in a circle" in done.err or "symbolic links" in done.err)
    assert km("status", "--offline").code == 0


def test_mode_and_owner_stay(km: Km, home: Home) -> None:
    path = home.write("cursor", PLAIN)
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
    before = path.stat()
    for verb in ("wrap", "unwrap"):
        assert km(verb, "cursor").code == 0
        now = path.stat()
        assert (now.st_mode, now.st_uid, now.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


@pytest.mark.skipif(sys.platform != "linux", reason="attributes are kept on Linux")
def test_an_access_list_and_other_attributes_stay(km: Km, home: Home) -> None:
    path = home.write("cursor", PLAIN)
    try:
        os.setxattr(path, "user.note", b"mine")
    except OSError:
        pytest.skip("this file system has no attributes")
    assert km("wrap", "cursor").code == 0
    assert os.getxattr(path, "user.note") == b"mine"


def test_a_second_name_of_the_file_keeps_what_it_had(km: Km, home: Home) -> None:
    path = home.write("cursor", PLAIN)
    other = path.with_name("snapshot.json")
    other.hardlink_to(path)
    assert km("wrap", "cursor").code == 0 and KM_CLIENT in path.read_text()
    assert other.read_text() == PLAIN


def test_a_read_only_file_is_refused(km: Km, home: Home, machine: Path) -> None:
    path = home.write("cursor", PLAIN)
    path.chmod(0o444)
    refused(km("wrap", "cursor"), path, PLAIN.encode(), "is read-only", "chmod u+w")
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert not (machine / "data").exists(), "of what is not wrapped no copy is kept"


@pytest.mark.parametrize(("room", "words"), [(-1, "cannot be written"), (10, "mcp.json cannot be replaced")])
def test_a_disk_that_is_full_in_mid_write_loses_nothing(
    km: Km, home: Home, machine: Path, room: int, words: str
) -> None:
    """Whether it is the copy that has no room, or the file itself, which grows by more than ten characters."""
    path = home.write("cursor", PLAIN + " " * 4_000)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)  # what is larger fails as a write to a full disk does
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + room, hard))
    try:
        done = km("wrap", "cursor")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    refused(done, path, before, f"{words}: File too large")
    assert not list((machine / "data").rglob(".*")), "no half of a copy stays either"
    assert km("wrap", "cursor").code == 0 and km("unwrap", "cursor").code == 0
    assert path.read_bytes() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user to be")
def test_a_directory_that_may_not_be_looked_into_is_said_to_be_so() -> None:
    place = Path(tempfile.mkdtemp())  # mode 0700, of root
    try:
        os.seteuid(65534)
        with pytest.raises(ClientError, match=r"mcp\.json cannot be read: Permission denied"):
            files.read(place / "mcp.json")
    finally:
        os.seteuid(0)
        shutil.rmtree(place)
    assert files.read(place / "mcp.json") is None
    assert files.read(Path(os.devnull) / "mcp.json") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user to be")
def test_a_directory_or_file_of_another_user_is_refused() -> None:
    place = Path(tempfile.mkdtemp())
    try:
        place.chmod(0o755)
        path = place / "mcp.json"
        path.write_text(PLAIN)
        path.chmod(0o666)
        snapshot = files.read(path)
        assert snapshot
        os.seteuid(65534)
        with pytest.raises(ClientError, match="cannot be replaced: Permission denied"):
            files.replace(snapshot, b"{}")
        os.seteuid(0)
        place.chmod(0o777)
        os.seteuid(65534)
        with pytest.raises(ClientError, match="belongs to another user"):
            files.replace(snapshot, b"{}")
        os.seteuid(0)
        assert path.read_text() == PLAIN and len(list(place.iterdir())) == 1
    finally:
        os.seteuid(0)
        shutil.rmtree(place)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_something_else_than_a_file_is_not_opened(home: Home, make: Callable[[Path], None]) -> None:
    path = home.place("cursor")
    path.parent.mkdir()
    make(path)
    result = wrapper.wrap(ConfigFile(clients.named(["cursor"])[0], path), KM_CLIENT)
    assert result and result.problem and result.problem.code == "config_not_a_file"
