"""Second factors, the console's gate, sessions and letters: what signing in promises beside a password."""

# ruff: noqa: ARG002 - fixtures are asked for by name

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from datetime import datetime
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client

from core.throttling import FailureLimit
from customers import accounts
from customers.models import AuditEntry, Customer
from dashboard import login
from tests.dashboard.conftest import PASSWORD

EMAIL = "ann@acme.example"


@pytest.fixture
def ann(customer: Customer, now: datetime) -> User:
    user: User = accounts.add_member(customer, EMAIL, PASSWORD, "owner", at=now).user
    return user


def sign_in(browser: Client, path: str = "/app/login", **more: str) -> Any:
    return browser.post(path, {"username": EMAIL, "password": PASSWORD, **more})


@pytest.fixture
def secret(ann: User) -> str:
    """Ann's authenticator app is on."""
    made: str = generate_totp_secret()
    TOTP.activate(ann, made)
    return made


def code_of(secret: str, steps: int = 0) -> str:
    counter = (int(time.time() // 30) + steps).to_bytes(8, "big")
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    start = digest[-1] & 15
    return f"{(int.from_bytes(digest[start : start + 4], 'big') & 0x7FFFFFFF) % 10**6:06d}"


class TestASecondFactor:
    def test_is_asked_for_before_anything_is_shown(self, secret: str) -> None:
        browser = Client()
        assert sign_in(browser).headers["Location"] == "/app/account/factors/authenticate/"
        assert browser.get("/app/settings/security").status_code == 302
        assert browser.post("/app/account/factors/authenticate/", {"code": "000000"}).status_code == 200
        assert browser.get("/app/settings/security").status_code == 302
        answer = browser.post("/app/account/factors/authenticate/", {"code": code_of(secret)})
        assert answer.headers["Location"] == "/app/"
        assert browser.get("/app/settings/security").status_code == 200

    def test_code_works_once(self, secret: str) -> None:
        code = code_of(secret)
        for location in ("/app/", None):
            browser = Client()
            sign_in(browser)
            answer = browser.post("/app/account/factors/authenticate/", {"code": code})
            assert answer.headers.get("Location") == location

    def test_guessing_is_closed_after_a_few_wrong_codes_even_to_the_right_one(self, secret: str) -> None:
        browser = Client()
        sign_in(browser)
        for _ in range(6):
            browser.post("/app/account/factors/authenticate/", {"code": "000000"})
        answer = browser.post("/app/account/factors/authenticate/", {"code": code_of(secret)})
        assert answer.status_code == 200
        assert "Too many" in answer.content.decode()

    def test_recovery_code_works_once(self, ann: User, secret: str) -> None:
        code = RecoveryCodes.activate(ann).get_unused_codes()[0]
        for location in ("/app/", None):
            browser = Client()
            sign_in(browser)
            answer = browser.post("/app/account/factors/authenticate/", {"code": code})
            assert answer.headers.get("Location") == location

    def test_secret_is_not_in_the_database_in_the_clear(self, ann: User, secret: str) -> None:
        stored = Authenticator.objects.get(user=ann)
        assert secret not in json.dumps(stored.data)

    def test_is_changed_only_by_who_knows_the_password_and_is_on_record(self, ann: User, secret: str) -> None:
        browser = Client()
        browser.force_login(ann)
        path = "/app/account/factors/app/remove/"
        assert "/app/account/confirm/" in browser.post(path).headers["Location"]
        assert Authenticator.objects.filter(user=ann).exists()
        browser.post("/app/account/confirm/", {"password": PASSWORD})
        browser.post(path)
        assert not Authenticator.objects.filter(user=ann).exists()
        entry = AuditEntry.objects.get(action="second_factor.removed")
        assert (entry.actor, entry.details) == (f"user:{EMAIL}", {"type": "totp"})

    def test_password_asked_for_again_is_guessed_no_more_often_than_at_the_door(
        self, ann: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(login, "PER_ACCOUNT", FailureLimit("test-again", failures=2, window=login.WINDOW))
        browser = Client()
        browser.force_login(ann)
        for _ in range(2):
            browser.post("/app/account/confirm/", {"password": "wrong"})
        assert "Too many tries" in browser.post("/app/account/confirm/", {"password": PASSWORD}).content.decode()
        assert "Too many tries" in sign_in(Client()).content.decode()


class TestTheConsole:
    @pytest.fixture(autouse=True)
    def staff(self, ann: User, settings: LazySettings) -> None:
        settings.STAFF_MFA = True
        User.objects.filter(pk=ann.pk).update(is_staff=True, is_superuser=True)

    def test_sends_staff_without_a_second_factor_to_add_one(self) -> None:
        browser = Client()
        sign_in(browser)
        answer = browser.get("/admin/", follow=True)
        assert answer.redirect_chain[-1][0] == "/app/settings/security"
        assert "needs a second factor" in answer.content.decode()

    def test_opens_to_who_signed_in_with_one(self, secret: str) -> None:
        browser = Client()
        sign_in(browser, "/admin/login/", next="/admin/")
        answer = browser.post("/app/account/factors/authenticate/", {"code": code_of(secret)})
        assert answer.headers["Location"] == "/admin/"
        assert browser.get("/admin/").status_code == 200

    def test_asks_a_session_that_has_not_shown_it(self, ann: User, secret: str) -> None:
        browser = Client()
        browser.force_login(ann)
        for path in ("/admin/", "/admin/customers/apikey/"):
            assert browser.get(path).headers["Location"] == f"/app/account/factors/confirm/?next={path}"
        browser.post("/app/account/factors/confirm/", {"code": code_of(secret)})
        assert browser.get("/admin/").status_code == 200

    def test_needs_none_where_the_setting_says_so(self, ann: User, settings: LazySettings) -> None:
        settings.STAFF_MFA = False
        browser = Client()
        sign_in(browser, "/admin/login/")
        assert browser.get("/admin/").status_code == 200

    def test_is_guessed_no_more_often_than_the_other_door(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(login, "PER_ACCOUNT", FailureLimit("test-staff", failures=1, window=login.WINDOW))
        Client().post("/admin/login/", {"username": EMAIL, "password": "wrong"})
        assert "Too many tries" in sign_in(Client(), "/admin/login/").content.decode()

    def test_shows_no_page_of_second_factors_and_sessions(self, secret: str, settings: LazySettings, ann: User) -> None:
        settings.STAFF_MFA = False
        browser = Client()
        browser.force_login(User.objects.get(pk=ann.pk))
        for model in (
            "mfa/authenticator",
            "usersessions/usersession",
            "account/emailaddress",
            "socialaccount/socialapp",
        ):
            assert browser.get(f"/admin/{model}/").status_code == 404

    def test_tells_who_is_no_staff_instead_of_sending_them_in_a_circle(self, ann: User) -> None:
        User.objects.filter(pk=ann.pk).update(is_staff=False)
        browser = Client()
        sign_in(browser)
        assert browser.get("/admin/", follow=True).status_code == 403


class TestASession:
    def test_is_a_new_one_after_signing_in_with_the_flags_of_a_secret(self, ann: User, settings: LazySettings) -> None:
        settings.SESSION_COOKIE_SECURE = True
        browser = Client()
        browser.get("/app/login")
        session = browser.session
        session["planted"] = 1
        session.save()
        before = session.session_key
        browser.cookies[settings.SESSION_COOKIE_NAME] = before or ""
        cookie = sign_in(browser).cookies[settings.SESSION_COOKIE_NAME]
        assert cookie.value != before
        assert cookie["httponly"] is True
        assert cookie["secure"] is True
        assert cookie["samesite"] == "Lax"

    def test_can_be_ended_from_another_browser_one_or_all(self, ann: User) -> None:
        here, there, elsewhere = Client(), Client(), Client()
        for browser in (here, there, elsewhere):
            sign_in(browser)
        page = here.get("/app/settings/security").content.decode()
        ids = re.findall(r"settings/sessions/(\d+)/end", page)
        assert len(ids) == 2
        here.post(f"/app/settings/sessions/{ids[0]}/end")
        assert sorted(each.get("/app/settings/usage").status_code for each in (there, elsewhere)) == [200, 302]
        here.post("/app/settings/sessions/end", {"others": ""})
        assert [each.get("/app/settings/usage").status_code for each in (here, there, elsewhere)] == [200, 302, 302]
        here.post("/app/settings/sessions/end")
        assert here.get("/app/settings/usage").status_code == 302

    def test_of_somebody_else_cannot_be_ended(self, ann: User, stranger: Customer, now: datetime) -> None:
        hers, other = Client(), Client()
        sign_in(hers)
        other.force_login(accounts.add_member(stranger, "eve@else.example", PASSWORD, "owner", at=now).user)
        row = ann.usersession_set.get()  # type: ignore[attr-defined]
        for session_id in (row.pk, 10**6, 10**40):
            assert other.post(f"/app/settings/sessions/{session_id}/end").status_code == 404
        assert hers.get("/app/settings/usage").status_code == 200

    def test_that_ended_in_mid_act_changes_nothing_and_leads_back_to_the_form(self, ann: User) -> None:
        form = "http://testserver/app/settings/members"
        answer = Client().post("/app/settings/members/invite", {"email": "x@y.example"}, headers={"Referer": form})
        assert answer.headers["Location"] == "/app/login?next=%2Fapp%2Fsettings%2Fmembers&ended=1"
        assert not mail.outbox
        foreign = Client().post("/app/settings/members/leave", headers={"Referer": "https://evil.example/x"})
        assert foreign.headers["Location"] == "/app/login?next=%2Fapp%2F&ended=1"

    def test_of_before_a_changed_password_is_over(self, ann: User) -> None:
        here, there = Client(), Client()
        sign_in(here)
        sign_in(there)
        new = "another long enough phrase"
        here.post("/app/account/password/", {"oldpassword": PASSWORD, "password1": new, "password2": new})
        assert [each.get("/app/settings/usage").status_code for each in (here, there)] == [200, 302]


class TestAForgottenPassword:
    def ask(self, email: str) -> str:
        return Client().post("/app/account/password/reset/", {"email": email}).headers["Location"]

    def test_is_set_anew_by_a_letter_once(self, ann: User, settings: LazySettings) -> None:
        settings.PUBLIC_URL = "https://km.example"
        self.ask(EMAIL)
        link = re.search(r"https://km\.example(/\S+)", str(mail.outbox[0].body))
        assert link is not None
        browser, new = Client(), "another long enough phrase"
        page = browser.get(link[1], follow=True)
        form = page.redirect_chain[-1][0]
        assert "set-password" in form
        browser.post(form, {"password1": new, "password2": new})
        ann.refresh_from_db()
        assert ann.check_password(new)
        assert "no longer good" in Client().get(link[1], follow=True).content.decode()

    def test_tells_a_stranger_nothing_and_writes_to_no_stranger(self, ann: User) -> None:
        assert self.ask(EMAIL) == self.ask("nobody@acme.example")
        assert [letter.to for letter in mail.outbox] == [[EMAIL]]


def test_signing_up_is_closed_unless_the_setting_opens_it(db: None, settings: LazySettings) -> None:
    assert settings.SIGN_UP == "invitation"
    assert Client().get("/app/sign-up").status_code == 404
    assert Client().post("/app/sign-up", {"email": "x@y.example", "organisation": "Y"}).status_code == 404
    assert not mail.outbox


def test_a_sign_up_says_the_same_to_a_known_address_and_is_not_repeated_without_end(
    ann: User, settings: LazySettings
) -> None:
    settings.SIGN_UP = "open"
    form = {"organisation": "Y"}
    known = Client().post("/app/sign-up", form | {"email": EMAIL}).content.decode()
    fresh = Client().post("/app/sign-up", form | {"email": "new@acme.example"}).content.decode()
    assert known.replace(EMAIL, "") == fresh.replace("new@acme.example", "")
    assert "It has one already" in str(mail.outbox[0].body)
    for _ in range(3):
        last = Client().post("/app/sign-up", form | {"email": "new@acme.example"})
    assert last.status_code == 429
    assert len(mail.outbox) == 4
