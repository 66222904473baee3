"""A session that ends in the middle: whatever is asked next leads to signing in and back, and nothing is half done."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client
from django.urls import resolve

from alerts import wakeup
from customers.models import ApiKey, Customer, Invitation, Member
from dashboard.boundary import FILES
from tests.dashboard.addresses import NOBODYS, filled, pieces, routes
from tests.dashboard.elsewhere import Everything, everything_of
from tests.dashboard.test_roles import OPEN
from tests.dashboard.traffic import Talk
from tests.plugins_registry.console.world import World
from tests.plugins_registry.storing import moved

HERE = "http://testserver/app/settings/members"


@pytest.fixture
def ours(db: None, customer: Customer, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Everything:
    moved(monkeypatch, tmp_path / "registry")
    monkeypatch.setattr(wakeup, "_send", lambda: None)
    return everything_of(customer, World(), word="ordinary", at=now)


@pytest.fixture
def ended(ours: Everything) -> Client:
    """A browser whose session was good a moment ago, and is over as if its time had come."""
    browser = Client()
    browser.force_login(ours.boss.user)
    assert browser.get("/app/account").status_code in {200, 302}
    Session.objects.update(expire_date=ours.boss.created_at - timedelta(seconds=1))
    return browser


def addresses(ours: Everything) -> dict[str, str]:
    """By its route's name: every address under /app that has a gate, of things there are."""
    found = {}
    for written, pattern in routes("app/"):
        if pattern.name not in OPEN and not written.startswith("app/account/") and set(pieces(written)) <= set(NOBODYS):
            found[str(pattern.name)] = filled(written, ours.ids)
    return found


def test_every_page_leads_to_signing_in_and_back_to_itself(ended: Client, ours: Everything) -> None:
    shown = 0
    for name, path in addresses(ours).items():
        answer = ended.get(path)
        if answer.status_code == 405:
            continue
        if name not in FILES:
            assert (answer.status_code, answer.headers["Location"]) == (302, f"/app/login?next={path}"), name
        shown += 1
    assert shown > 40


def test_every_part_of_a_page_gets_a_word_for_its_script_and_no_form_to_swap_in(
    ended: Client, ours: Everything
) -> None:
    for name, path in addresses(ours).items():
        answer = ended.get(path, headers={"HX-Request": "true"})
        assert answer.status_code == 405 or (answer.status_code, answer.content) == (401, b""), name


def test_every_act_changes_nothing_says_so_and_leads_back_to_its_form(ended: Client, ours: Everything) -> None:
    before = [*ApiKey.objects.values(), *Member.objects.values(), *Invitation.objects.values()]
    acts = 0
    for name, path in addresses(ours).items():
        answer = ended.post(path, {"name": "x", "email": "x@y.example", "role": "viewer"}, headers={"Referer": HERE})
        if answer.status_code != 405:
            expected = "/app/login?next=%2Fapp%2Fsettings%2Fmembers&ended=1"
            assert (answer.status_code, answer.headers["Location"]) == (302, expected), name
            acts += 1
    assert acts > 25
    assert [*ApiKey.objects.values(), *Member.objects.values(), *Invitation.objects.values()] == before
    assert not mail.outbox
    page = ended.get("/app/login", {"next": "/app/settings/members", "ended": "1"}).content.decode()
    assert "Your session had ended, so nothing was changed." in page


def test_every_file_is_whole_or_none_and_leads_back_to_the_page_with_its_link(ended: Client, ours: Everything) -> None:
    found, good = set(), Client()
    good.force_login(ours.boss.user)
    for name, path in addresses(ours).items():
        answer = good.get(path)
        if answer.status_code == 200 and answer.headers.get("Content-Disposition", "").startswith("attachment"):
            found.add(name)
    assert found == FILES, "dashboard.boundary.FILES names the routes that answer with a file"
    for name in sorted(FILES):
        answer = ended.get(addresses(ours)[name], headers={"Referer": HERE})
        led = urlsplit(answer.headers["Location"])
        assert (answer.status_code, led.path) == (302, "/app/login")
        assert parse_qs(led.query) == {"next": ["/app/settings/members"], "ended": ["1"]}
        assert "Content-Disposition" not in answer.headers


def test_no_link_to_a_file_makes_a_file_of_the_sign_in_page(ours: Everything) -> None:
    """A link with `download` saves whatever its address ends at, under the file's name."""
    good = Client()
    good.force_login(ours.boss.user)
    for path in addresses(ours).values():
        answer = good.get(path)
        if answer.status_code == 200 and "html" in answer.headers["Content-Type"]:
            assert not re.findall(r"<a [^>]*\sdownload[\s>=][^>]*", answer.content.decode()), path


def test_a_file_that_began_is_finished(
    browser: Client, customer: Customer, talk: Talk, sign_in: Callable[..., Client]
) -> None:
    for _ in range(600):
        talk.notify("n/tick")
    talk.store(customer)
    answer: Any = browser.get("/app/events/export.jsonl")
    begun = iter(answer.streaming_content)
    first = next(begun)
    Session.objects.all().delete()
    assert (first + b"".join(begun)).count(b"\n") == 600


def test_a_form_of_before_another_sign_in_changes_nothing_and_says_so(ours: Everything) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(ours.boss.user)
    browser.get("/app/settings/keys")
    answer = browser.post("/app/settings/keys/issue", {"name": "x", "csrfmiddlewaretoken": "x" * 64})
    assert answer.status_code == 403
    assert "This form is too old" in answer.content.decode()
    assert "Nothing was changed" in answer.content.decode()


def test_the_way_back_is_never_to_another_site(ours: Everything) -> None:
    for somewhere in ("https://evil.example/app/", "//evil.example/", "javascript:alert(1)", ""):
        answer = Client().post("/app/settings/members/leave", headers={"Referer": somewhere})
        assert parse_qs(urlsplit(answer.headers["Location"]).query)["next"] == ["/app/"]


def test_every_address_here_is_one_the_resolver_has(ours: Everything) -> None:
    assert all(resolve(path).url_name == name for name, path in addresses(ours).items())
