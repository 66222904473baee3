"""`status` shows who, what waits, what was lost, and why nothing moves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.client.agent.conftest import Record
from tests.client.agent.recorder import call
from tests.client.commands.conftest import Km
from tests.fakes.ingest_server import IngestServer


def test_a_new_machine_says_what_to_do_first(km: Km) -> None:
    done = km("status")
    assert done.code == 0
    assert "no API key: run `km-client login`" in done.out
    assert "not running" in done.out


def test_who_and_where_are_shown_when_the_server_answers(km: Km, server: IngestServer) -> None:
    km("init", "--api-key", server.new_key(), "--api-url", server.url)
    done = km("status")
    assert "tier Pro (active)" in done.out and server.url in done.out
    said = json.loads(km("status", "--json").out)
    assert (said["account"]["tier"], said["problem"], said["agent"]["running"]) == ("Pro", None, False)


def test_a_server_that_cannot_be_reached_is_said_and_the_rest_still_shown(km: Km, server: IngestServer) -> None:
    km("init", "--api-key", server.new_key(), "--api-url", server.url)
    server.stop()
    done = km("status")
    assert done.code == 0
    assert f"cannot reach {server.url}" in done.out and "shipped" in done.out
    assert km("status", "--offline").out.count("cannot reach") == 0


def test_sessions_on_disk_are_shown_without_an_agent(km: Km, record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    live, over = record("run-1", session_id="mine"), record("run-2", local_only=True)
    live.request(call(1))

    def no_space(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("km_client.capture.journal.os.write", no_space)
        live.request(call(2))
    over.end()
    done = km("status")
    assert "mine" in done.out and "live" in done.out and "local only" in done.out
    assert "1 piece to disk full" in done.out
    said = json.loads(km("status", "--json").out)
    assert [session["is_live"] for session in said["sessions"]] == [True, False]
    assert said["lost"] == {"disk_full": [1, len(call(2))]}
    assert said["waiting"]["bytes"] > 0


def test_a_session_that_cannot_be_read_is_shown_as_such(km: Km, record: Record) -> None:
    session = record()
    (session.path / "session.json").write_text("{")
    assert "cannot be read" in km("status").out


def test_a_directory_that_was_deleted_under_the_shell_is_no_hindrance(
    km: Km, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert km("status", "--offline").code == 0
    done = km("wrap", "--project", ".")
    assert done.code == 1 and ". is no directory" in done.err


def test_mistakes_in_the_settings_end_it_with_the_fix(km: Km, machine: Path) -> None:
    (machine / "config").mkdir()
    (machine / "config" / "config.toml").write_text("api_ulr = 1")
    done = km("status")
    assert done.code == 1 and "did you mean `api_url`?" in done.err
