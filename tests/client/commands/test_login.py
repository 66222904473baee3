"""`login` keeps the key that a code gives but once, and opens a browser only where there is a window for it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from km_client import credentials

from tests.client.commands.conftest import Km
from tests.client.monitored import KM_CLIENT
from tests.client.test_device_login import CODES, KEY, TOKEN, Answers, answering
from tests.end_to_end.waiting import eventually

__all__ = ["answering"]

AT_ONCE = {**CODES, "interval": 0}


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
