"""`doctor` names each thing that is wrong with its fix, and exits 1 only then."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from km_client import checks, config
from km_client.account import Account, clock_ahead
from km_client.agent.refusals import Refusal, RefusalStore, Refused

from tests.client.agent.conftest import Record
from tests.client.agent.recorder import call
from tests.client.commands.conftest import Done, Km
from tests.fakes.ingest_server import IngestServer


@pytest.fixture
def healthy(km: Km, server: IngestServer) -> None:
    assert km("init", "--api-key", server.new_key(), "--api-url", server.url).code == 0


def problems(done: Done) -> dict[str, str]:
    """name → words of what is wrong; each has a fix."""
    assert done.code == (1 if "problem " in done.out else 0)
    lines = done.out.splitlines()
    wrong = [number for number, line in enumerate(lines) if line.startswith("problem ")]
    assert all(lines[number + 1].strip().startswith("fix: ") for number in wrong)
    return {lines[number].split()[1]: lines[number] for number in wrong}


@pytest.mark.usefixtures("healthy")
def test_a_machine_that_works_has_no_problem(km: Km) -> None:
    done = km("doctor")
    assert (done.code, problems(done)) == (0, {})
    assert "Everything works." in done.out
    said = json.loads(km("doctor", "--json").out)
    assert said["ok"] and {"config", "key", "server", "clock", "agent", "disk"} <= {c["name"] for c in said["checks"]}


def test_a_new_machine_is_told_to_begin(km: Km) -> None:
    done = km("doctor")
    assert set(problems(done)) == {"key"} and "km-client login" in done.out
    assert json.loads(km("doctor", "--json").out)["ok"] is False


@pytest.mark.usefixtures("healthy")
def test_a_server_that_is_not_there_is_a_problem(km: Km, server: IngestServer) -> None:
    server.stop()
    assert "cannot reach" in problems(km("doctor"))["server"]


@pytest.mark.usefixtures("healthy")
def test_a_key_that_is_no_longer_accepted_is_a_problem(km: Km, server: IngestServer) -> None:
    server.keys.clear()
    assert "the API key is not known" in problems(km("doctor"))["server"]


@pytest.mark.usefixtures("healthy")
def test_loose_permissions_are_a_problem_once(km: Km, machine: Path) -> None:
    (machine / "config" / "credentials.toml").chmod(0o644)
    assert "0644" in problems(km("doctor"))["permissions"]
    assert km("doctor").code == 0


@pytest.mark.usefixtures("healthy")
def test_settings_that_are_wrong_are_a_problem(km: Km, machine: Path) -> None:
    (machine / "config" / "config.toml").write_text('log_level = "loud"')
    assert "log_level" in problems(km("doctor"))["config"]


@pytest.mark.usefixtures("healthy")
def test_recordings_that_wait_for_an_agent_are_a_problem(km: Km, record: Record) -> None:
    session = record()
    session.request(call(1))
    assert "a session is live" in problems(km("doctor"))["agent"]
    session.end()
    assert "recordings wait" in problems(km("doctor"))["agent"]


@pytest.mark.usefixtures("healthy")
def test_what_could_not_be_recorded_is_a_problem(km: Km, record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    session = record()

    def no_space(*_: object) -> int:
        raise OSError(28, "No space left on device")

    session.request(call(1))
    with monkeypatch.context() as patch:
        patch.setattr("km_client.capture.journal.os.write", no_space)
        session.request(call(2))
    assert "disk full" in problems(km("doctor"))["recording"]


@pytest.mark.usefixtures("healthy")
def test_refused_events_are_a_problem_until_they_are_looked_at(km: Km, machine: Path) -> None:
    refusal = Refused(Refusal("a", "invalid_event", "bad"), b'{"id":"a"}')
    RefusalStore(machine / "data" / "refused").keep("run-1", [refusal], at=datetime.now(UTC))
    assert "1 events were refused" in problems(km("doctor"))["refused"]


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.usefixtures("healthy")
def test_a_disk_that_is_nearly_full_is_a_problem(km: Km, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("km_client.checks.shutil.disk_usage", lambda _: Usage(10, 9, 1_000_000))
    assert "only 1.0 MB free on the disk" in problems(km("doctor"))["disk"]


def test_an_address_without_encryption_is_a_problem_unless_it_is_this_machine(km: Km, server: IngestServer) -> None:
    key = server.new_key()
    km("init", "--api-key", key, "--api-url", server.url, "--offline")
    assert "address" not in problems(km("doctor"))
    km("init", "--api-key", key, "--api-url", "http://192.0.2.1:8318", "--offline")
    check = checks._transport(config.load())
    assert (check.name, check.state) == ("address", "problem") and "https://192.0.2.1:8318" in check.fix


@pytest.mark.parametrize(
    ("ahead", "state", "words"),
    [
        (0.4, "ok", "agrees"),
        (-200, "ok", "agrees"),
        (4000, "problem", "behind"),
        (-4000, "problem", "ahead of"),
        (None, "note", ""),
    ],
)
def test_a_clock_that_is_wrong_is_a_problem(ahead: float | None, state: str, words: str) -> None:
    check = checks._clock(Account("cus_1", "Pro", "active", None, ahead))
    assert check.state == state and words in check.words


def test_the_servers_clock_is_read_from_its_answer() -> None:
    now = datetime(2026, 11, 22, 15, 40, 0, tzinfo=UTC)
    assert clock_ahead("Sun, 22 Nov 2026 15:41:00 GMT", now=now) == 60
    assert clock_ahead("nonsense", now=now) is None
    assert clock_ahead(None, now=now) is None


def test_a_data_directory_that_cannot_be_used_is_a_problem(km: Km, machine: Path) -> None:
    (machine / "data").write_text("a file where a directory should be")
    assert km("doctor").code == 1
