"""`doctor --fix` mends what loses nothing, says each thing, and leaves everything else alone."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from km_client.agent import presence

from tests.client.agent.conftest import Record
from tests.client.agent.recorder import call
from tests.client.commands.conftest import Km
from tests.end_to_end.waiting import eventually
from tests.fakes.ingest_server import IngestServer


@pytest.fixture(autouse=True)
def healthy(km: Km, server: IngestServer) -> None:
    assert km("init", "--api-key", server.new_key(), "--api-url", server.url).code == 0


def mended(km: Km) -> dict[str, str]:
    """name → words of each thing that was mended."""
    return {each["name"]: each["words"] for each in json.loads(km("doctor", "--fix", "--json").out)["mended"]}


def half(path: Path, *, hours: float) -> None:
    """A file that somebody began to write so long ago."""
    path.write_text("half")
    path.chmod(0o600)
    os.utime(path, (time.time() - hours * 3600,) * 2)


def test_a_machine_that_works_is_left_as_it_is(km: Km, machine: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (machine / "config").rglob("*")}
    done = km("doctor", "--fix")
    assert done.code == 0 and "mended" not in done.out
    assert {path: path.stat().st_mtime_ns for path in (machine / "config").rglob("*")} == before


def test_files_that_others_can_read_are_taken_back(km: Km, machine: Path, record: Record) -> None:
    record().end()
    copy = machine / "data" / "wrapping" / "0123456789abcdef" / "mcp.json.0123456789ab"
    copy.parent.mkdir(parents=True)
    copy.touch()
    loose = [machine / "config", machine / "config" / "credentials.toml", machine / "data" / "journal" / "run-1", copy]
    for path in loose:
        path.chmod(path.stat().st_mode | 0o055)
    assert "could be read by others" in mended(km)["permissions"]
    assert [path.stat().st_mode & 0o077 for path in loose] == [0, 0, 0, 0]


def test_a_link_to_somewhere_else_keeps_its_permissions(km: Km, machine: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("not ours to change")
    elsewhere.chmod(0o644)
    (machine / "data" / "log").mkdir(parents=True, mode=0o700)
    (machine / "data" / "log" / "link").symlink_to(elsewhere)
    mended(km)
    assert elsewhere.stat().st_mode & 0o777 == 0o644


def test_only_old_leftovers_are_deleted(km: Km, machine: Path) -> None:
    old, new = (machine / "config" / f".config.toml.{name}" for name in ("x1y2_3z4", "a1b2_3c4"))
    for path in (old, new):
        half(path, hours=2 if path == old else 0)
    assert "config.toml.x1y2_3z4" in mended(km)["leftovers"]
    assert not old.exists() and new.exists()


def test_what_an_editor_keeps_beside_a_file_stays(km: Km, machine: Path) -> None:
    kept = [machine / "config" / f".config.toml{ending}" for ending in (".swp", ".un~", ".old", ".backup-of-mine")]
    for path in kept:
        half(path, hours=24)
    assert "leftovers" not in mended(km)
    assert all(path.exists() for path in kept)


def test_half_of_what_wrap_was_writing_is_deleted_wherever_it_is(
    km: Km, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / ".cursor").mkdir(parents=True)
    left = tmp_path / "dotfiles" / ".cursor.json.x1y2_3z4.km"
    left.parent.mkdir()
    (left.parent / "cursor.json").write_text("{}")
    (tmp_path / "home" / ".cursor" / "mcp.json").symlink_to(left.parent / "cursor.json")
    half(left, hours=2)
    assert str(left) in mended(km)["leftovers"]
    assert not left.exists() and (left.parent / "cursor.json").exists()


def test_half_of_a_copy_is_deleted_and_half_of_a_projects_file(km: Km, machine: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / ".mcp.json").write_text('{"mcpServers": {"a": {"command": "npx"}}}')
    assert km("wrap", "claude-code", "--project", str(project)).code == 0
    (record,) = (machine / "data" / "wrapping").glob("*/record.json")
    halves = [project / "..mcp.json.x1y2_3z4.km", record.with_name("..mcp.json.0123456789ab.x1y2_3z4")]
    for path in halves:
        half(path, hours=2)
    assert "leftovers" in mended(km)
    assert not any(path.exists() for path in halves)
    assert km("unwrap", "--project", str(project)).code == 0 and not record.exists()


@pytest.mark.parametrize(
    ("written", "left"),
    [
        ('# mine\nlog_levle = "debug"\n', '# mine\nlog_level = "debug"\n'),
        ("[redaction]\nenabeld = false # off\n", "[redaction]\nenabled = false # off\n"),
        ("[agnet]\nidle_seconds = 5\n", "[agent]\nidle_seconds = 5\n"),
    ],
)
def test_a_misspelt_setting_is_renamed_and_the_rest_kept(km: Km, machine: Path, written: str, left: str) -> None:
    path = machine / "config" / "config.toml"
    path.write_text(written)
    path.chmod(0o600)
    assert "is now" in mended(km)["config"]
    assert path.read_text().split() == left.split()
    assert km("config", "list").code == 0


@pytest.mark.parametrize(
    "written",
    ['colour = "red"\n', 'log_levle = "loud"\n', 'log_level = "info"\nlog_levle = "debug"\n', "log_level = \n"],
)
def test_what_is_not_certain_stays_with_the_person(km: Km, machine: Path, written: str) -> None:
    path = machine / "config" / "config.toml"
    path.write_text(written)
    path.chmod(0o600)
    done = km("doctor", "--fix")
    assert done.code == 1 and path.read_text() == written


@pytest.mark.usefixtures("with_agents")
def test_an_agent_that_is_waited_for_is_started(km: Km, record: Record) -> None:
    session = record()
    session.request(call(1))
    assert "started" in mended(km)["agent"]
    eventually(lambda: presence.running_pid() is not None)
