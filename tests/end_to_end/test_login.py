"""Logging in by a code, with the real client and service: begun on a laptop, confirmed by a person, ended by both."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.end_to_end.laptop import KM_CLIENT, Laptop
from tests.end_to_end.raw_client import RawClient
from tests.end_to_end.service import Account, Service, end_group
from tests.end_to_end.waiting import eventually

ECHO = [sys.executable, str(Path(__file__).resolve().parent.parent / "mcp_servers" / "echo_server.py")]
CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
CODE = re.compile(r"confirm the code\s+([B-Z]{4}-[B-Z]{4})")


class Person:
    """A browser without JavaScript, signed in."""

    def __init__(self, service: Service, account: Account) -> None:
        self._url, self._browser = service.url, requests.Session()
        self.post("/app/login", {"username": account.email, "password": account.password})

    def get(self, path: str) -> str:
        return self._browser.get(self._url + path, timeout=30).text

    def post(self, path: str, form: dict[str, str], *, form_at: str = "") -> str:
        token = CSRF.search(self.get(form_at or path))
        assert token is not None
        fields = {**form, "csrfmiddlewaretoken": token[1]}
        answer = self._browser.post(self._url + path, fields, headers={"Referer": self._url + path}, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.text

    def decide(self, code: str, decision: str) -> str:
        page = f"/app/device?user_code={code}"
        return self.post("/app/device/decide", {"user_code": code, "decision": decision}, form_at=page)


class Login:
    """`km-client login` under way on a laptop."""

    def __init__(self, laptop: Laptop, service: Service) -> None:
        self.process = subprocess.Popen(
            [KM_CLIENT, "login", "--no-browser", "--no-plugins", "--json", "--api-url", service.url],
            env={**os.environ, **laptop.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.code = self._read_code()

    def _read_code(self) -> str:
        assert self.process.stderr is not None
        said = ""
        for line in self.process.stderr:
            said += line
            if found := CODE.search(line):
                return found[1]
        raise AssertionError(f"no code was shown: {said}")

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.fixture
def person(service: Service, own_account: Account) -> Person:
    return Person(service, own_account)


@pytest.fixture
def login(laptop: Laptop, service: Service) -> Iterator[Login]:
    begun = Login(laptop, service)
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
