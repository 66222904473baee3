"""The browser that this room shares: what its own options may not undo, and that a test finds nothing of another's."""

from __future__ import annotations

import re

import psutil
import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import FEATURES_OFF, profiles

pytestmark = pytest.mark.browser


def test_what_playwright_turns_off_stays_off(chromium: Browser) -> None:
    assert chromium.is_connected()
    commands = [_command(each) for each in psutil.Process().children(recursive=True)]
    [lists] = {  # of the browser's own processes: a program that starts it may stand before it
        tuple(found)
        for each in commands
        if "--type=" not in each and (found := re.findall(r"--disable-features=(\S+)", each))
    }
    assert len(lists) == 2, "Playwright's, and ours, which is the last"
    assert {*lists[0].split(",")} <= {*lists[1].split(",")} == {*FEATURES_OFF}


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # a zombie too: it has ended
        return ""


def test_what_was_opened_is_gone_afterwards() -> None:
    with profiles() as browser:
        browser.new_context().new_page()
    with profiles() as again:
        assert again is browser
        assert again.contexts == []
