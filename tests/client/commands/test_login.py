"""`login` keeps the key that a code gives but once, and opens a browser only where there is a window for it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from km_client import config_edit, credentials, paths
from km_client.agent.api import Api
from km_protocol import api_keys

from tests.client.commands.conftest import Km
from tests.client.monitored import KM_CLIENT
from tests.client.test_device_login import CODES, KEY, TOKEN, Answers, answering
from tests.end_to_end.waiting import eventually

__all__ = ["answering"]

AT_ONCE = {**CODES, "interval": 0}
REVOKED = {"error": {"code": "revoked_api_key"}}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the client asks with a key, and with which."""
    calls = list[str]()
    call = Api._call

    def noted(self: Api, method: str, path: str, *, token: str = "", **rest: Any) -> Any:
        calls.append(f"{self.url}{path} Bearer {token}")
        return call(self, method, path, token=token, **rest)

    monkeypatch.setattr(Api, "_call", noted)
    return calls


@pytest.mark.parametrize("trouble", [(503, {}), (0, {}), (401, {"error": {"message": "\x1b[2J"}})])
def test_the_key_is_kept_though_nobody_can_say_whose_it_is(
    km: Km, answering: Answers, trouble: tuple[int, Any]
) -> None:
    api = answering((200, AT_ONCE), (200, TOKEN), trouble)
    done = km("login", "--no-browser", "--api-url", api.url)
    assert done.code == 0 and "whose it is cannot be asked" in done.err and "\x1b" not in done.err
    kept = credentials.kept()
    assert kept is not None and kept.api_key == KEY
    assert km("config", "get", "api_url").out.strip().endswith(api.url)


def test_where_no_key_can_be_kept_nobody_is_asked_to_confirm(km: Km, answering: Answers) -> None:
    api = answering()  # asked for codes, it would fail
    paths.config_dir().symlink_to("a disk that is not there")
    done = km("login", "--no-browser", "--api-url", api.url)
    api.close()
    assert done.code == 1 and "cannot be written" in done.err and "confirm the code" not in done.err


def test_a_key_that_cannot_be_kept_is_given_back(km: Km, answering: Answers, asked: list[str]) -> None:
    paths.credentials_file().mkdir(parents=True)
    api = answering((200, AT_ONCE), (200, TOKEN), (200, {"revoked": True}))
    done = km("login", "--no-browser", "--api-url", api.url)
    api.close()
    assert done.code == 1 and "cannot be written" in done.err and "still works" not in done.err
    assert asked[-1] == f"{api.url}/api/auth/logout Bearer {KEY}"


@pytest.mark.parametrize(
    ("answer", "warned"), [((200, {"revoked": True}), False), ((503, {}), True), ((401, REVOKED), False)]
)
def test_the_login_before_ends_at_the_server_it_was_at(
    km: Km,
    answering: Answers,
    asked: list[str],
    monkeypatch: pytest.MonkeyPatch,
    answer: tuple[int, Any],
    warned: bool,
) -> None:
    old = api_keys.compose("inst", "3" * api_keys.BODY_LENGTH)
    credentials.save(old)
    api = answering((200, AT_ONCE), (200, TOKEN), answer, (503, {}))
    config_edit.set_value("api_url", api.url)
    monkeypatch.setenv("KM_API_URL", f"{api.url}/new")  # it may be anybody's: no key of another goes there
    done = km("login", "--no-browser")
    api.close()
    assert done.code == 0, done.err
    assert f"{api.url}/api/auth/logout Bearer {old}" in asked
    assert (f"starting `{api_keys.display(old)}` is kept nowhere any more and still works" in done.err) is warned
    kept = credentials.kept()
    assert kept is not None and kept.api_key == KEY


def test_a_key_issued_by_hand_is_nobodys_to_end_and_a_variable_that_goes_first_is_named(
    km: Km, answering: Answers, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand = api_keys.compose("live", "3" * api_keys.BODY_LENGTH)
    credentials.save(by_hand)
    monkeypatch.setenv("KM_API_KEY", by_hand)
    api = answering((200, AT_ONCE), (200, TOKEN), (503, {}))
    done = km("login", "--no-browser", "--api-url", api.url)
    api.close()
    assert done.code == 0 and "KM_API_KEY is set and goes before this login" in done.err
    assert not any("logout" in each for each in asked)


@pytest.mark.parametrize("variable", ["", "DISPLAY", "BROWSER"])
def test_a_browser_is_opened_only_where_it_has_a_window(
    machine: Path, answering: Answers, tmp_path: Path, variable: str
) -> None:
    opened = tmp_path / "opened"
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("xdg-open", "www-browser"):
        (programs / name).write_text(f'#!/bin/sh\necho "$1" >>{opened}\n')
        (programs / name).chmod(0o755)
    api = answering((200, AT_ONCE), (400, {"error": "access_denied"}))
    unset = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {"PATH": str(programs), "TERM": "xterm"}  # no browser of this machine
    if variable:
        environment[variable] = "www-browser" if variable == "BROWSER" else ":7"
    command = [KM_CLIENT, "login", "--api-url", api.url]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "refused in the browser" in done.stderr
    page = CODES["verificationUriComplete" if variable else "verificationUri"]
    assert f"{'A browser was opened at' if variable else 'Open'} {page}\n" in done.stderr
    if variable:
        eventually(opened.exists, what="the browser has run")
    else:
        assert not opened.exists()
