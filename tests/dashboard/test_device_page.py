"""The page where a person lets a machine in: it shows what asks and from where, and a link alone lets nothing in."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

import pytest
from django.test import Client

from core.throttling import FailureLimit
from customers import api_keys, device_codes
from customers.accounts import add_member
from customers.device_codes import Asking, Codes
from customers.errors import PollRefused
from customers.models import ApiKey, AuditEntry, Customer, DeviceGrant, Member
from dashboard import device_page
from dashboard.boundary import CHOSEN
from tests.dashboard.conftest import PASSWORD

PAGE = "/app/device"
HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture
def codes(db: None, now: datetime) -> Codes:
    return device_codes.start(Asking("km-client 1.0.0", "9f2c", "ann-laptop", "Linux 6.1"), address="127.0.0.1", at=now)


def decided(browser: Client, code: str, decision: str = "allow") -> tuple[int, str]:
    acme = Customer.objects.get(name="Acme Robotics")
    fields = {"user_code": code, "decision": decision, "customer": acme.public_id}
    answer = browser.post(f"{PAGE}/decide", fields)
    return answer.status_code, answer.content.decode()


def word(codes: Codes, now: datetime) -> str:
    with pytest.raises(PollRefused) as error:
        device_codes.redeem(codes.device_code, at=now)
    return error.value.word


def test_it_shows_the_machine_the_place_and_the_organisation(browser: Client, codes: Codes) -> None:
    spelled = codes.user_code.lower().replace("-", "%E2%80%AE ")  # a link may spell it to be read as another
    text = browser.get(f"{PAGE}?user_code={spelled}").content.decode()
    for shown in ("ann-laptop", "km-client 1.0.0", "Linux 6.1", "127.0.0.1", "yours", codes.user_code, "Acme Robotics"):
        assert shown in text


def test_a_place_that_is_not_the_readers_is_marked(browser: Client, now: datetime) -> None:
    codes = device_codes.start(Asking(), address="203.0.113.7", at=now)
    assert "not yours" in browser.get(f"{PAGE}?user_code={codes.user_code}").content.decode()


def test_opening_the_link_lets_nothing_in(browser: Client, codes: Codes, now: datetime) -> None:
    browser.get(f"{PAGE}?user_code={codes.user_code}")
    assert browser.get(f"{PAGE}/decide?user_code={codes.user_code}&decision=allow").status_code == 405
    assert word(codes, now) == "authorization_pending"


def test_it_is_asked_for_and_let_in(browser: Client, codes: Codes, customer: Customer, now: datetime) -> None:
    assert "The code it shows" in browser.get(PAGE).content.decode()
    status, text = decided(browser, codes.user_code)
    assert status == 200 and "is let in" in text
    issued = device_codes.redeem(codes.device_code, at=now)
    assert issued.key.customer == customer
    assert ApiKey.objects.count() == 1


def test_who_presses_twice_is_told_what_came_of_it(
    browser: Client, codes: Codes, customer: Customer, sign_in: Callable[..., Client], now: datetime
) -> None:
    for decision in ("allow", "allow", "deny"):
        status, text = decided(browser, codes.user_code, decision)
        assert status == 200 and "is let in" in text
    assert AuditEntry.objects.filter(action__startswith="device_login.").count() == 1
    assert decided(sign_in(customer, "admin"), codes.user_code)[0] == 404  # somebody else is told nothing
    device_codes.redeem(codes.device_code, at=now)
    assert "is let in" in decided(browser, codes.user_code)[1]


def test_it_is_let_in_for_the_organisation_that_the_page_named_or_for_none(
    browser: Client, codes: Codes, customer: Customer, stranger: Customer, now: datetime
) -> None:
    page = browser.get(f"{PAGE}?user_code={codes.user_code}").content.decode()
    assert f'name="customer" value="{customer.public_id}"' in page
    Member.objects.create(customer=stranger, user=Member.objects.get(customer=customer).user, role="owner")
    session = browser.session
    session[CHOSEN] = stranger.public_id  # in another tab, since
    session.save()
    status, text = decided(browser, codes.user_code)
    assert status == 409 and "Somebody Else" in text
    assert word(codes, now) == "authorization_pending"


def test_without_room_for_a_key_the_page_says_so_and_asks_on(
    browser: Client, codes: Codes, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "MAX_LIVE_KEYS", 0)
    status, text = decided(browser, codes.user_code)
    assert status == 400 and "0 keys in use. Revoke the ones nobody uses, then press again" in text
    assert "Let it in" in text and "ann-laptop" in text
    monkeypatch.undo()
    assert "is let in" in decided(browser, codes.user_code)[1]
    assert device_codes.redeem(codes.device_code, at=now).secret


def test_it_is_refused(browser: Client, codes: Codes, now: datetime) -> None:
    assert "is refused" in decided(browser, codes.user_code, "deny")[1]
    assert word(codes, now) == "access_denied"
    assert AuditEntry.objects.filter(action="device_login.denied").count() == 1


def test_a_viewer_sees_it_and_cannot_let_it_in(
    customer: Customer, sign_in: Callable[..., Client], codes: Codes, now: datetime
) -> None:
    viewer = sign_in(customer, "viewer")
    assert "Your role may not" in viewer.get(f"{PAGE}?user_code={codes.user_code}").content.decode()
    assert decided(viewer, codes.user_code)[0] == 403
    assert word(codes, now) == "authorization_pending"


def test_who_is_not_signed_in_comes_back_to_the_code(codes: Codes, customer: Customer) -> None:
    answer = Client().get(f"{PAGE}?user_code={codes.user_code}")
    assert answer.status_code == 302
    assert "next=/app/device%3Fuser_code%3D" in answer.headers["Location"]


@pytest.mark.parametrize("wrong", ["BBBB-BBBB", HOSTILE, "x" * 5000, "\x00"])
def test_a_code_nobody_waits_under_is_a_404_that_says_how_to_go_on(browser: Client, wrong: str) -> None:
    answer = browser.get(PAGE, {"user_code": wrong})
    assert answer.status_code == 404
    text = answer.content.decode()
    assert "read it again on the machine" in text and "<script>alert" not in text


def test_guessing_codes_is_limited(browser: Client, codes: Codes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_page, "GUESSES", FailureLimit("t", failures=3, window=device_codes.GOOD_FOR))
    for _ in range(3):
        browser.get(f"{PAGE}?user_code=BBBB-BBBB")
    limited = browser.get(f"{PAGE}?user_code={codes.user_code}")
    assert limited.status_code == 429 and "Retry-After" in limited.headers
    assert re.search(r"Too many codes were tried that are none\. Wait \d+ minutes?, then", limited.content.decode())
    assert decided(browser, codes.user_code)[0] == 429


def test_a_machines_words_stay_words(browser: Client, now: datetime) -> None:
    codes = device_codes.start(Asking(HOSTILE, "m", HOSTILE, HOSTILE), address="127.0.0.1", at=now)
    text = browser.get(f"{PAGE}?user_code={codes.user_code}").content.decode()
    assert "<script>alert" not in text and "&lt;script&gt;" in text
    assert "<script>alert" not in decided(browser, codes.user_code)[1]


def test_a_decision_that_is_none_is_refused(browser: Client, codes: Codes) -> None:
    assert decided(browser, codes.user_code, "maybe")[0] == 400
    assert DeviceGrant.objects.get().approved_at is None


def test_a_form_of_another_site_lets_nothing_in(customer: Customer, codes: Codes, now: datetime) -> None:
    member = add_member(customer, "eve@example.com", PASSWORD, "owner", at=now)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(member.user)
    assert decided(strict, codes.user_code)[0] == 403
    assert word(codes, now) == "authorization_pending"
