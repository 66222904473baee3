"""Pins on disk: private, whole, of a known format, bounded, and never believed to be empty because they are broken."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest
from km_client.capture import lock
from km_client.errors import ClientError
from km_client.pinning import choice, pin_file
from km_client.pinning.pins import Identity, Pin, Pins, identity_of

GIT = Identity("git", ("uvx", "mcp-server-git"))


def pin(name: str) -> None:
    pin_file.update(
        GIT, lambda pins: pins.pinned.__setitem__(name, Pin("d" * 64, '{"name":"\udcff"}', 5, "first seen"))
    )


def test_what_was_written_is_read_again_and_is_for_its_owner_alone(machine: Path) -> None:
    pin("log")
    path = pin_file.path_of(GIT)
    read = pin_file.load(path)
    assert read == Pins(GIT, pinned={"log": Pin("d" * 64, '{"name":"\udcff"}', 5, "first seen")})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert json.loads(path.read_bytes())["format"] == 1


@pytest.mark.parametrize(
    "other",
    [
        Identity("files", GIT.command),
        Identity("git", ("uvx", "mcp-server-git", "--repository", "b")),
        Identity("git", ("uvx mcp-server-git",)),
        Identity("git", (), "https://mcp.example.com/mcp"),
    ],
)
def test_a_server_is_its_name_and_how_it_is_started(machine: Path, other: Identity) -> None:
    assert pin_file.path_of(other) != pin_file.path_of(GIT)


def test_any_name_makes_a_file_name(machine: Path) -> None:
    for name in ("../../etc/passwd", "\0", "ä" * 500, "", "CON"):
        path = pin_file.path_of(Identity(name))
        assert path.parent == machine / "data" / "pins"
        assert len(path.name) < 80


def test_a_run_knows_its_server_as_its_recording_does() -> None:
    described = {"server_name": "git", "command": ["uvx", "mcp-server-git"], "cwd": "/", "url": ""}
    assert identity_of(described) == identity_of(described | {"command": ("uvx", "mcp-server-git")}) == GIT


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"format": 2}', b'{"format": 1}', b"\xff", b'{"format": 1, "server": 5}', b"[" * 100_000],
)
def test_a_broken_file_is_said_to_be_and_is_not_replaced(machine: Path, content: bytes) -> None:
    path = pin_file.path_of(GIT)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(ClientError) as raised:
        pin("log")
    assert str(path) in raised.value.message
    assert "delete it" in raised.value.hint
    assert path.read_bytes() == content


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_that_may_not_be_read_is_said_to_be(machine: Path) -> None:
    pin("log")
    pin_file.path_of(GIT).chmod(0)
    with pytest.raises(ClientError, match="cannot be read"):
        pin("log")


def test_nothing_is_written_where_nothing_changed(machine: Path) -> None:
    pin("log")
    before = pin_file.path_of(GIT).stat().st_ino
    pin("log")
    pin_file.update(GIT, lambda pins: setattr(pins, "seen_ns", 99))
    assert pin_file.path_of(GIT).stat().st_ino == before


def test_writers_wait_for_each_other(machine: Path) -> None:
    pin("zero")
    writers = [threading.Thread(target=pin, args=(f"t{number}",)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    read = pin_file.load(pin_file.path_of(GIT))
    assert read
    assert len(read.pinned) == 9


def test_a_lock_that_is_never_given_back_is_said(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pin_file, "LOCK_SECONDS", 0.05)
    pin("log")
    fd = os.open(machine / "data" / "pins" / "lock", os.O_RDWR)
    assert lock.hold(fd)
    with pytest.raises(ClientError, match="another program keeps"):
        pin("log")
    os.close(fd)


def test_the_server_not_heard_of_for_longest_makes_room(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pin_file, "MAX_SERVERS", 3)
    for number in range(5):
        who = Identity(f"s{number}")
        pin_file.update(who, lambda pins: pins.pinned.update(a=Pin("d", "", 1, "first seen")))
        os.utime(pin_file.path_of(who), (number, number))
    assert [path.name[:2] for path in pin_file.all_files()] == ["s2", "s3", "s4"]


@pytest.mark.parametrize(
    ("content", "holds", "complains"),
    [
        (None, False, False),
        ("", False, False),
        ('[tools]\non_change = "hold"\n', True, False),
        ('tools.on_change = "report"\n', False, False),
        ('[tools]\non_change = "hodl"\n', True, True),
        ('[tools\non_change = "report"\n', True, True),
        ("debug = true # on_change\n", False, False),
    ],
)
def test_a_slip_in_the_file_does_not_take_the_protection_away(
    machine: Path, content: str | None, holds: bool, complains: bool
) -> None:
    if content is not None:
        (machine / "config").mkdir()
        (machine / "config" / "config.toml").write_text(content)
    said: list[str] = []
    assert choice.holds(said.append) is holds
    assert bool(said) is complains
    assert not said or str(machine / "config" / "config.toml") in said[0]
