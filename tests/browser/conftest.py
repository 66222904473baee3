"""A real Chromium before a real service: `manage.py serve`, its own database, events sent as a client sends them.

Every page made here is watched: a console error, an uncaught exception, a dialog, a request to another host or a
blocked inline script fails the test that caused it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request

from tests.alerts.receivers import MailServer
from tests.browser.chromium import WITHIN_MS, end, is_error, profiles
from tests.dashboard.traffic import Talk
from tests.end_to_end.service import Account, Service


@pytest.fixture(scope="session")
def letters() -> Iterator[MailServer]:
    """The mail server of the service, and every letter it took."""
    with MailServer() as running:
        yield running


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, own_home: Path, letters: MailServer) -> Iterator[Service]:
    """A running service that the browser tests of a worker process share. Whoever likes makes an account."""
    settings = {"KM_SIGN_UP": "open", "KM_EMAIL_URL": f"smtp://127.0.0.1:{letters.port}"}
    settings["DJANGO_ALLOW_ASYNC_UNSAFE"] = ""  # this process's own, while Chromium runs
    running = Service(tmp_path_factory.mktemp("dashboard"), settings=settings).start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def account(service: Service) -> Account:
    """The customer most tests look at; each brings a session of its own."""
    return service.create_customer("Acme Robotics")


@pytest.fixture
def chromium() -> Iterator[Browser]:
    """The browser that the tests of this room share; the profiles that a test opens are its own."""
    with profiles() as browser:
        yield browser


@pytest.hookimpl(trylast=True)  # after the test's fixtures; one of another room may need this thread without a loop
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    if nextitem is None or not nextitem.path.is_relative_to(Path(__file__).parent):
        end()


def pytest_sessionfinish() -> None:
    end()


@dataclass
class Complaints:
    """What a page did that no page may do. A test that provokes one on purpose forgives it by name."""

    service: Service
    found: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.found.append(f"uncaught: {error}"))
        page.on("request", self._request)
        page.on("dialog", self._dialog)

    def forgive(self, words: str) -> None:
        self.found = [complaint for complaint in self.found if words not in complaint]

    def _dialog(self, dialog: Dialog) -> None:
        self.found.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "warning" or is_error(message):
            self.found.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.service.url}/", "data:", "blob:")):
            self.found.append(f"request: {request.url}")


@pytest.fixture
def complaints(service: Service) -> Iterator[Complaints]:
    """Fails the test at its end if a page misbehaved."""
    watched = Complaints(service)
    yield watched
    assert watched.found == []


@pytest.fixture
def context(chromium: Browser, complaints: Complaints) -> Iterator[Callable[..., BrowserContext]]:
    """New browser profiles: `context(theme="dark", width=360)`."""
    made: list[BrowserContext] = []

    def new(theme: str = "light", width: int = 1440, *, scripts: bool = True) -> BrowserContext:
        profile = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if theme == "dark" else "light",
            java_script_enabled=scripts,
            base_url=complaints.service.url,
        )
        profile.set_default_timeout(WITHIN_MS)
        profile.on("page", complaints.watch)
        made.append(profile)
        return profile

    yield new
    for profile in made:
        profile.close()


@pytest.fixture(scope="session")
def signed_in_cookies() -> dict[str, list[Any]]:
    """By e-mail: what the sign-in form left in a browser. Hashing a password takes a second on a busy machine."""
    return {}


@pytest.fixture
def sign_in(signed_in_cookies: dict[str, list[Any]]) -> Callable[..., Page]:
    """A signed-in page at the sessions: `sign_in(profile, account)`; `by_form` for a sign-in of its own."""

    def signed_in(profile: BrowserContext, account: Account, *, by_form: bool = False) -> Page:
        page = profile.new_page()
        if not by_form and account.email in signed_in_cookies:
            profile.add_cookies(signed_in_cookies[account.email])
            page.goto("/app/")
            return page
        page.goto("/app/")
        page.get_by_label("E-mail").fill(account.email)
        page.get_by_label("Password").fill(account.password)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url("**/app/")
        if not by_form:
            signed_in_cookies[account.email] = [*profile.cookies()]
        return page

    return signed_in


@pytest.fixture
def page(context: Callable[..., BrowserContext], sign_in: Callable[..., Page], account: Account) -> Page:
    """A wide, light page, signed in."""
    return sign_in(context(), account)


@dataclass
class Recording:
    """A session that sends to the service, and its address there."""

    talk: Talk
    service: Service
    account: Account
    sent: int = 0

    @property
    def address(self) -> str:
        return f"/app/sessions/{self.talk.session_id}"

    def send(self) -> None:
        """Send what was said, and wait until it is stored."""
        self.sent += len(self.talk.waiting)
        self.talk.post(self.service.url, self.account.api_key)
        self.service.wait_until_stored(self.talk.session_id, self.sent)


@pytest.fixture
def earlier(service: Service, account: Account) -> None:
    """A session of before, so that the first page is the list: without any it is the first steps, then reloads."""
    talk = Talk(uuid.uuid4().hex, started_at=datetime.now(UTC) - timedelta(minutes=1))
    talk.notify("n/earlier")
    Recording(talk, service, account).send()


@pytest.fixture
def recording(service: Service, account: Account) -> Recording:
    """A session that began ten seconds ago; nothing is said yet."""
    began = datetime.now(UTC) - timedelta(seconds=10)
    return Recording(Talk(uuid.uuid4().hex, started_at=began), service, account)
