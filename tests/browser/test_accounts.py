"""People come in, in a real browser: sign-up by letter, an authenticator app, a passkey, an invitation, roles, a key.

The passkey is made and used by Chromium's own virtual authenticator; the letters are Django's outbox.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core import mail
from django.core.cache import cache
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, expect
from pytest_django.live_server_helper import LiveServer

from core.clock import now
from customers import accounts
from customers.models import Customer, Member
from tests.browser.chromium import CHROMIUM, is_error, profiles

PASSWORD = "correct horse battery staple"
HOSTILE = "<img src=x onerror=alert(1)>"
PICTURES = os.environ.get("KM_TEST_PICTURES", "")  # a directory to look at the pages in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed"),
]


class House:
    """A service, and browsers before it."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser, self.url = browser, url
        self.complaints: list[str] = []

    def visitor(self, width: int = 1440, theme: str = "light") -> Page:
        """A page of a new profile."""
        context: BrowserContext = self.browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if theme == "dark" else "light",
            base_url=self.url,
        )
        page = context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.append(said.text) if is_error(said) else None)
        page.on("dialog", self._dialog)
        return page

    def _dialog(self, dialog: Dialog) -> None:
        self.complaints.append(dialog.message)
        dialog.dismiss()

    def letter(self) -> str:
        """The path of the link in the last letter."""
        found = re.search(r"https?://[^/\s]+(/\S+)", str(mail.outbox[-1].body))
        assert found is not None
        return found[1]

    def picture(self, page: Page, name: str) -> None:
        if PICTURES:
            page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


@pytest.fixture
def house(live_server: LiveServer, settings: LazySettings) -> Iterator[House]:
    settings.SIGN_UP = "open"
    cache.clear()
    mail.outbox.clear()
    with profiles() as browser:
        found = House(browser, live_server.url.replace("127.0.0.1", "localhost"))  # browsers give numbers no passkeys
        yield found
    assert found.complaints == []


def code_of(secret: str) -> str:
    """The code an authenticator app shows now (RFC 6238)."""
    counter = int(time.time() // 30).to_bytes(8, "big")
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    start = digest[-1] & 15
    return f"{(int.from_bytes(digest[start : start + 4], 'big') & 0x7FFFFFFF) % 10**6:06d}"


def confirm_password(page: Page) -> None:
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()


def sign_in(page: Page, email: str) -> None:
    page.goto("/app/login")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_from_a_sign_up_to_a_second_factor_an_invitation_and_roles(house: House) -> None:
    page = house.visitor()
    page.goto("/app/login")
    house.picture(page, "sign-in")
    page.get_by_role("link", name="Make an account").click()
    page.get_by_label("E-mail").fill("Ann@New.Example")
    page.get_by_label("Organisation").fill(f"New Inc {HOSTILE}")
    page.get_by_role("button", name="Send me a link").click()
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
    page.goto(house.letter())
    expect(page).to_have_url(re.compile("/app/join$"))
    house.picture(page, "join-new")
    page.get_by_label("Choose a password").fill(PASSWORD)
    page.get_by_role("button", name="Begin").click()
    page.wait_for_url("**/app/")
    secret = add_an_app(house, page)
    page.get_by_role("link", name="Members").click()
    page.get_by_label("E-mail").fill("bob@new.example")
    page.locator('form[action$="/invite"] select').select_option("viewer")
    page.get_by_role("button", name="Send the invitation").click()
    expect(page.get_by_text("A letter is on its way to bob@new.example.")).to_be_visible()
    house.picture(page, "members")
    viewer_comes_in(house)
    page.reload()
    page.get_by_label("Role of bob@new.example").select_option("member")
    page.get_by_role("row", name="bob@new.example").get_by_role("button", name="Change role").click()
    expect(page.get_by_text("The role is changed.")).to_be_visible()
    assert Member.objects.get(user__username="bob@new.example").role == "member"
    other = house.visitor(width=360, theme="dark")
    sign_in(other, "ann@new.example")
    expect(other.get_by_role("heading", name="Second factor")).to_be_visible()
    house.picture(other, "second-factor-narrow-dark")
    other.get_by_label("Code of your app").fill(code_of(secret))
    other.get_by_role("button", name="Sign in", exact=True).click()
    other.wait_for_url("**/app/")
    for name in ("security", "members", "keys", "usage", "audit"):
        other.goto(f"/app/settings/{name}")
        assert other.evaluate("document.documentElement.scrollWidth") <= 360, name
        house.picture(other, f"{name}-narrow-dark")
    page.goto("/app/settings/audit?verify=1")
    expect(page.get_by_text("Unbroken")).to_be_visible()
    house.picture(page, "audit")


def add_an_app(house: House, page: Page) -> str:
    page.goto("/app/settings")
    page.get_by_role("link", name="Add an app").click()
    confirm_password(page)
    secret = page.locator("[data-secret]").inner_text()
    house.picture(page, "add-an-app")
    page.get_by_label("Authenticator code").fill(code_of(secret))
    page.get_by_role("button", name="Turn it on").click()
    expect(page.locator("[data-codes]")).to_contain_text(re.compile(r"\d{8}"))
    house.picture(page, "recovery-codes")
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_role("row", name="Authenticator app")).to_contain_text("On")
    house.picture(page, "security")
    return secret


def viewer_comes_in(house: House) -> None:
    page = house.visitor()
    page.goto(house.letter())
    expect(page.get_by_role("heading", name="Join New Inc")).to_contain_text(HOSTILE)
    page.get_by_label("Choose a password").fill(PASSWORD)
    page.get_by_role("button", name="Join").click()
    page.wait_for_url("**/app/")
    page.goto("/app/settings/members")
    expect(page.get_by_role("button", name="Leave")).to_be_visible()
    expect(page.get_by_role("button", name="Send the invitation")).to_have_count(0)
    page.goto("/app/settings/keys")
    expect(page.get_by_role("button", name="Issue the key")).to_have_count(0)


@pytest.fixture
def ann(db: None) -> Customer:
    customer = accounts.create_customer("Acme Robotics", "pro", at=now())
    accounts.add_member(customer, "ann@acme.example", PASSWORD, "owner", at=now())
    return customer


def test_a_passkey_is_made_and_then_signs_in_alone(house: House, ann: Customer) -> None:
    page = house.visitor()
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    device = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    device |= {"isUserVerified": True, "automaticPresenceSimulation": True}
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": device})
    sign_in(page, "ann@acme.example")
    page.wait_for_url("**/app/")
    page.goto("/app/settings/security")
    page.get_by_role("link", name="Add a passkey").click()
    confirm_password(page)
    house.picture(page, "add-a-passkey")
    page.get_by_label("Name").fill(f"Laptop {HOSTILE}")
    page.get_by_role("button", name="Add").click()
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_role("row", name="Laptop")).to_contain_text(HOSTILE)
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url("**/app/")
    page.get_by_role("button", name="Sign out", exact=True).click()
    sign_in(page, "ann@acme.example")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/app/")


def test_a_key_is_issued_shown_once_rotated_and_revoked(house: House, ann: Customer) -> None:
    page = house.visitor()
    sign_in(page, "ann@acme.example")
    page.wait_for_url("**/app/")
    page.goto("/app/settings/keys")
    house.picture(page, "keys-empty")
    page.get_by_label("Name").fill("Ann's laptop")
    page.get_by_label("Expires").select_option("90")
    page.get_by_role("button", name="Issue the key").click()
    expect(page.locator("pre.code")).to_contain_text(re.compile("^km_live_[0-9A-Za-z]{36}$"))
    house.picture(page, "key-issued")
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("button", name="Rotate").click()
    expect(page.get_by_text("works for 72 hours more")).to_be_visible()
    page.get_by_role("link", name="I have copied it").click()
    expect(page.get_by_text("Being replaced")).to_be_visible()
    page.get_by_role("button", name="Revoke").first.click()
    expect(page.get_by_text("It is refused everywhere within a minute.")).to_be_visible()
    house.picture(page, "keys")


def test_a_session_that_ends_in_mid_act_says_so_and_changes_nothing(house: House, ann: Customer) -> None:
    page = house.visitor()
    sign_in(page, "ann@acme.example")
    page.wait_for_url("**/app/")
    page.goto("/app/settings/members")
    kept = [cookie for cookie in page.context.cookies() if cookie["name"] != "sessionid"]
    page.context.clear_cookies()
    page.context.add_cookies(kept)  # type: ignore[arg-type]
    page.get_by_label("E-mail").fill("bob@acme.example")
    page.get_by_role("button", name="Send the invitation").click()
    expect(page.get_by_text("Your session had ended, so nothing was changed.")).to_be_visible()
    assert not mail.outbox
    page.get_by_label("E-mail").fill("ann@acme.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/app/settings/members")
