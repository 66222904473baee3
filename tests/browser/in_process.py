"""Chromium before a server of this very process, for what is easier made by the rooms' own functions than sent.

with chromium(live_server) as browser:
    page, did = browser.page_of(user)          signed in, without a form
    page, did = browser.page_of(user, scripts=False)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Dialog, Page
from pytest_django.live_server_helper import LiveServer

from tests.browser.chromium import WITHIN_MS, profiles

WATCH = """
window.__violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.__violations.push(event.violatedDirective));
"""


@dataclass(frozen=True, slots=True)
class InProcess:
    """A browser, and the server it looks at."""

    browser: Browser
    server: LiveServer

    def page_of(self, user: User, *, scripts: bool = True, width: int = 1440) -> tuple[Page, list[str]]:
        """A page signed in as `user`, whose password was asked for just now, and what it did that no page may do."""
        signed_in = Client()
        signed_in.force_login(user)
        signed_in.post("/app/account/confirm/", {"password": user.email})
        profile = self.browser.new_context(
            base_url=self.server.url, java_script_enabled=scripts, viewport={"width": width, "height": 900}
        )
        profile.set_default_timeout(WITHIN_MS)
        cookie = {"name": "sessionid", "value": signed_in.cookies["sessionid"].value, "url": self.server.url}
        profile.add_cookies([cookie])  # type: ignore[list-item]  # playwright's own type of a dictionary
        profile.add_init_script(WATCH)
        page, did = profile.new_page(), list[str]()
        page.on("dialog", lambda dialog: _refuse(dialog, did))
        page.on("request", lambda sent: self._judge(sent.url, did))
        page.on("pageerror", lambda error: did.append(f"uncaught: {error}"))
        return page, did

    def _judge(self, url: str, did: list[str]) -> None:
        if not url.startswith((f"{self.server.url}/", "data:", "blob:")) or url == f"{self.server.url}/x":
            did.append(f"request: {url}")


def _refuse(dialog: Dialog, did: list[str]) -> None:
    did.append(f"dialog: {dialog.message}")
    dialog.dismiss()


@contextmanager
def chromium(server: LiveServer) -> Iterator[InProcess]:
    """The browser; the profiles that are opened within are gone in the end, and nothing asks the server any more."""
    with profiles() as browser:
        yield InProcess(browser, server)
