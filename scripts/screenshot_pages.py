"""Which pictures there are, and how each page is made ready for its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Browser, Page, ViewportSize

from scripts.demo_story import MOMENT, OWNER, PASSWORD, STAFF

ACCOUNTS = (OWNER, STAFF)
NARROW = 360  # a small phone

Step = Callable[[Page], None]


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture, as `account` sees it: go to `path`, do `then`, take `width` by `height` pixels."""

    name: str
    account: str
    path: str
    then: Step | None = None
    width: int = 1280
    height: int = 800


class Studio:
    """A browser of one person in one theme, whose clock stands where the service's does."""

    def __init__(self, browser: Browser, url: str, account: str, theme: str) -> None:
        self._context = browser.new_context(
            base_url=url, color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce"
        )
        self._page = self._context.new_page()
        self._page.clock.set_fixed_time(MOMENT)
        (_into_the_console if account == STAFF else _into_the_dashboard)(self._page, account)

    def take(self, shot: Shot) -> bytes:
        """A PNG."""
        self._page.set_viewport_size(ViewportSize(width=shot.width, height=shot.height))
        self._page.goto(shot.path, wait_until="networkidle")
        if shot.then is not None:
            shot.then(self._page)
        self._page.mouse.move(0, 0)
        return self._page.screenshot()

    def close(self) -> None:
        self._context.close()


def _into_the_dashboard(page: Page, account: str) -> None:
    page.goto("/app/login")
    page.get_by_label("E-mail").fill(account)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/app/")


def _into_the_console(page: Page, account: str) -> None:
    page.goto("/admin/")
    page.fill("[name=username]", account)
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.get_by_role("heading", name="What needs you").first.wait_for()


def _open_a_failed_call(page: Page) -> None:
    page.locator("tr.failed [data-drawer]").first.click()
    page.locator("#drawer[open] .sides").wait_for()


def _open_the_newest_session(page: Page) -> None:
    """That of GitHub: answers that overlap, a failed call, an idle time."""
    page.locator("tr[data-row] a.name").first.click()
    page.locator("#exchanges summary").first.wait_for()


def _open(name: str) -> Step:
    def click(page: Page) -> None:
        page.get_by_role("link", name=name).first.click()
        page.wait_for_load_state("networkidle")

    return click


def _preview_a_downgrade(page: Page) -> None:
    page.get_by_role("link", name="Acme Robotics").first.click()
    page.get_by_role("link", name="Change tier…").click()
    page.locator("[name=tier]").select_option(label="Free")
    page.get_by_role("button", name="Show what it would do").click()
    page.get_by_role("button", name="Change the subscription").wait_for()


_CHANGED_TOOL = "/app/tools/tool?server=files&name=read_file"
_QUEUE = "/admin/plugins_registry/revision/"

SHOTS = (
    Shot("overview", OWNER, "/app/", height=1010),
    Shot("overview-narrow", OWNER, "/app/", width=NARROW, height=740),
    Shot("events", OWNER, "/app/events", _open_a_failed_call),
    Shot("session", OWNER, "/app/sessions", _open_the_newest_session, height=860),
    Shot("session-narrow", OWNER, "/app/sessions", _open_the_newest_session, width=NARROW, height=740),
    Shot("tool", OWNER, _CHANGED_TOOL, height=860),
    Shot("plugins", OWNER, "/app/plugins", height=560),
    Shot("incident", OWNER, "/app/alerts", _open("Errors of postgres"), height=660),
    Shot("console", STAFF, "/admin/", height=560),
    Shot("review", STAFF, _QUEUE, _open("risk-radar 1.2.0"), height=1000),
    Shot("downgrade", STAFF, "/admin/customers/customer/", _preview_a_downgrade, height=720),
)
