"""Debian's Chromium, or the one `KM_CHROMIUM` names: one process for all the tests of this room that a worker runs.

    with profiles() as browser:      started by the first who asks
        browser.new_context(…)       a test's own profile; whatever was opened is closed in the end

While it runs, Playwright keeps an event loop in this thread, and Django would refuse to ask a database here: it is told
not to (`DJANGO_ALLOW_ASYNC_UNSAFE`), until `end()`, which the room's conftest calls before a test of another room.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, expect, sync_playwright

# The shell is the same engine without windows and menus, and a quarter less work; Playwright's own choice, too.
INSTALLED = tuple(map(Path, ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium")))
CHROMIUM = Path(os.environ.get("KM_CHROMIUM") or next(filter(Path.exists, INSTALLED), INSTALLED[-1]))
WITHIN_MS = 15_000  # a poll is two seconds; the rest is for a busy machine with two cores
FEATURES_OFF = (
    # An address bar that suggests loads two pages of its own for each profile: 0.7 of the 1.1 s that one costs.
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    # What Playwright turns off: Chromium heeds only the last list it is given.
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
    "LensOverlay",
    "MediaRouter",
    "PaintHolding",
    "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "TcpPortRandomizationWin",
    "OptimizationHints",
    "NetworkTimeServiceQuerying",
    "AimEnabled",
    "PreconnectToSearch",
    "msForceBrowserSignIn",
    "msEdgeUpdateLaunchServicesPreferredVersion",
)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    f"--disable-features={','.join(FEATURES_OFF)}",
]


class _Running:
    """The one of this process."""

    browser: Browser | None = None
    ends = ExitStack()


@contextmanager
def profiles() -> Iterator[Browser]:
    """The browser, without a profile; those that were opened meanwhile are closed in the end."""
    if _Running.browser is None or not _Running.browser.is_connected():
        end()
        _Running.browser = _started(_Running.ends)
    try:
        yield _Running.browser
    finally:
        for profile in _Running.browser.contexts:
            profile.close()


def end() -> None:
    """Close it, and take back what it needed. Does nothing when it does not run."""
    _Running.browser = None
    _Running.ends.close()


def _started(ends: ExitStack) -> Browser:
    if not CHROMIUM.exists():
        if "KM_CHROMIUM" in os.environ or "CI" in os.environ or Path("/etc/debian_version").exists():
            pytest.fail(f"no Chromium at {CHROMIUM}: `apt-get install chromium-headless-shell`, or set KM_CHROMIUM")
        pytest.skip("Chromium is not installed here: set KM_CHROMIUM to run the browser tests")
    ends.enter_context(pytest.MonkeyPatch.context()).setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    expect.set_options(timeout=WITHIN_MS)
    playwright = ends.enter_context(sync_playwright())
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    ends.callback(browser.close)
    return browser


def is_error(message: ConsoleMessage) -> bool:
    """Whether a page's console complains, other than of the icon that a browser asks for without being told to."""
    return message.type == "error" and not message.location["url"].endswith("/favicon.ico")
