"""Logging in by a code, with the real client and service: begun on a laptop, confirmed by a person, ended by both."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.laptop import Laptop
from tests.end_to_end.logging_in import Login, Person
from tests.end_to_end.raw_client import RawClient
from tests.end_to_end.service import Account, Service, end_group
from tests.end_to_end.waiting import eventually

ECHO = [sys.executable, str(Path(__file__).resolve().parent.parent / "mcp_servers" / "echo_server.py")]


@pytest.fixture
def person(service: Service, own_account: Account) -> Person:
    return Person(service.url, own_account)


@pytest.fixture
def login(laptop: Laptop, service: Service) -> Iterator[Login]:
    begun = Login(laptop.environment, service.url, "--json")
    yield begun
    if begun.process.poll() is None:
        end_group(begun.process)


def test_a_confirmed_machine_ships_until_it_logs_out(
    login: Login, laptop: Laptop, person: Person, service: Service, session_id: str
) -> None:
    page = person.get(f"/app/device?user_code={login.code}")
    assert os.uname().nodename.partition(".")[0] in page and "127.0.0.1" in page
    assert "is let in" in person.decide(login.code, "allow")
    code, out, err = login.end()
    assert code == 0, err
    assert json.loads(out)["key"].startswith("km_inst_")
    assert (laptop.config_dir / "credentials.toml").stat().st_mode & 0o777 == 0o600
    with RawClient(laptop.monitor_command(*ECHO, session_id=session_id), laptop.environment) as client:
        client.initialize("2025-11-25")
        assert client.finish() == 0
    service.wait_until_stored(session_id, 3)
    assert os.uname().nodename.partition(".")[0] in person.get("/app/settings/machines")
    done = laptop.km("logout")
    assert done.returncode == 0 and "refuses it from now on" in done.stdout, done.stderr
    assert not (laptop.config_dir / "credentials.toml").exists()
    assert "revoked" in person.get("/app/settings/keys")
    assert laptop.km("logout").returncode == 1


def test_with_a_keyring_the_key_is_in_no_file_of_ours(
    laptop: Laptop, person: Person, service: Service, tmp_path: Path
) -> None:
    keyring = tmp_path / "keyring.json"
    laptop.environment |= {
        "PYTHON_KEYRING_BACKEND": "tests.fakes.keyrings.OfAFile",
        "KEYRING_OF_TEST": str(keyring),
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent.parent),
    }
    login = Login(laptop.environment, service.url, "--json", "--keyring")
    person.decide(login.code, "allow")
    code, out, err = login.end()
    assert code == 0, err
    assert json.loads(out)["key"].startswith("km_inst_")
    assert (laptop.config_dir / "credentials.toml").read_text() == 'store = "keyring"\n'
    assert "km_inst_" in keyring.read_text()
    assert "tier Pro" in laptop.km("status").stdout
    assert laptop.km("logout").returncode == 0
    assert json.loads(keyring.read_text()) == {}


def test_a_machine_that_is_refused_gets_nothing(login: Login, laptop: Laptop, person: Person) -> None:
    assert "is refused" in person.decide(login.code, "deny")
    code, out, err = login.end()
    assert (code, out) == (1, "")
    assert "refused in the browser" in err
    assert not (laptop.config_dir / "credentials.toml").exists()


def test_a_machine_logged_out_from_afar_is_told_and_keeps_what_it_recorded(
    login: Login, laptop: Laptop, person: Person, session_id: str
) -> None:
    person.decide(login.code, "allow")
    assert login.end()[0] == 0
    listed = re.search(r'href="(/app/settings/machines/mac_[^"]+)"', person.get("/app/settings/machines"))
    assert listed is not None
    person.post(f"{listed[1]}/remove", {"revoke_key": "on"}, form_at=listed[1])
    with RawClient(laptop.monitor_command(*ECHO, session_id=session_id), laptop.environment) as client:
        client.initialize("2025-11-25")
        assert client.finish() == 0
    eventually(lambda: "revoked" in laptop.km("status").stdout, what="`status` says why nothing is shipped")
    assert "km-client login" in laptop.km("doctor").stdout
    assert laptop.journals(), "what could not be sent is kept"
