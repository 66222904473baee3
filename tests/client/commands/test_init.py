"""`init` keeps an address and a key that work, and says what is wrong with those that do not."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from km_client import config, credentials
from km_client.agent import presence
from km_protocol import api_keys

from tests.client.agent.conftest import Record
from tests.client.agent.recorder import call
from tests.client.commands.conftest import Km
from tests.end_to_end.waiting import eventually
from tests.fakes.ingest_server import IngestServer


def kept() -> str | None:
    found = credentials.load()
    return found.api_key if found else None


def test_flags_are_checked_kept_and_followed_by_the_next_step(km: Km, server: IngestServer, machine: Path) -> None:
    key = server.new_key()
    done = km("init", "--api-key", key, "--api-url", server.url + "/")
    assert done.code == 0, done.err
    assert "tier Pro (active)" in done.out and "km-client monitor" in done.out
    assert key not in done.out
    assert (kept(), config.load().api_url) == (key, server.url)
    assert (machine / "config" / "credentials.toml").stat().st_mode & 0o777 == 0o600


def test_json_says_the_same_to_a_script(km: Km, server: IngestServer) -> None:
    done = km("init", "--api-key", server.new_key(), "--api-url", server.url, "--json")
    said = json.loads(done.out)
    assert (said["api_url"], said["tier"], said["status"], said["checked"]) == (server.url, "Pro", "active", True)


def test_a_mistyped_key_is_refused_without_asking_anyone(km: Km, server: IngestServer) -> None:
    key = server.new_key()
    done = km("init", "--api-key", key[:-1] + ("a" if key[-1] != "a" else "b"), "--api-url", server.url)
    assert done.code == 1
    assert "typing mistake" in done.err and "hint:" in done.err
    assert (kept(), server.exchanges) == (None, 0)


def test_a_key_nobody_knows_is_refused_and_the_old_one_stays(km: Km, server: IngestServer) -> None:
    old = server.new_key()
    km("init", "--api-key", old, "--api-url", server.url)
    unknown = api_keys.compose("live", "9" * 30)
    done = km("init", "--api-key", unknown)
    assert done.code == 1
    assert "does not accept the API key" in done.err and "hint:" in done.err and unknown not in done.err
    assert kept() == old


def test_a_server_that_is_not_there_is_said_and_can_be_ignored(km: Km, server: IngestServer) -> None:
    server.stop()
    key = server.new_key()
    done = km("init", "--api-key", key, "--api-url", server.url)
    assert done.code == 1
    assert f"cannot reach {server.url}" in done.err and kept() is None
    assert km("init", "--api-key", key, "--api-url", server.url, "--offline").code == 0
    assert kept() == key


@pytest.mark.parametrize("url", ["kilometers.example", "ftp://x.example", "https://", "https://me:pw@x.example"])
def test_an_address_that_cannot_be_one_is_refused(km: Km, server: IngestServer, url: str) -> None:
    done = km("init", "--api-key", server.new_key(), "--api-url", url)
    assert done.code == 1
    assert "`api_url`" in done.err and kept() is None


def test_the_key_may_come_from_the_environment_or_the_input(
    km: Km, server: IngestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped, exported = server.new_key(), server.new_key()
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{piped}\n"))
    assert km("init", "--api-url", server.url).code == 0
    assert kept() == piped
    monkeypatch.setenv("KM_API_KEY", exported)
    assert km("init").code == 0
    monkeypatch.delenv("KM_API_KEY")
    assert kept() == exported


def test_no_key_at_all_is_said(km: Km, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    done = km("init")
    assert done.code == 1 and "no API key was given" in done.err


@pytest.mark.usefixtures("with_agents")
def test_what_was_recorded_before_is_shipped_now(km: Km, server: IngestServer, record: Record) -> None:
    config_idle = km("config", "set", "agent.idle_seconds", "0.2")
    assert config_idle.code == 0
    session = record()
    session.request(call(1))
    session.end()
    done = km("init", "--api-key", server.new_key(), "--api-url", server.url)
    assert "1 recorded session will be shipped now" in done.out
    eventually(lambda: not session.path.exists())
    assert server.messages() == [call(1).strip()]
    eventually(lambda: presence.running_pid() is None)
