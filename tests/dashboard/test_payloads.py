"""Scripts and formulas in every word that a server, a plugin or a person can choose: shown, and nothing else."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client

from alerts import sending, wakeup
from alerts.models import Delivery, Destination
from core.clock import now as present
from customers.models import Customer, Invitation
from dashboard.event_export import COLUMNS
from kmcloud import health
from tests.dashboard.elsewhere import Everything
from tests.dashboard.hostile import DOES, FORMULA, HOSTILE, app_pages, console_pages, doings, hostile_customer
from tests.dashboard.traffic import Talk
from tests.plugins_registry.console.world import World
from tests.plugins_registry.storing import moved


@pytest.fixture
def world(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    moved(monkeypatch, tmp_path / "registry")
    monkeypatch.setattr(wakeup, "_send", lambda: None)
    monkeypatch.setattr(health, "check_broker", lambda: health.Check("ok", HOSTILE))
    return World()


@pytest.fixture
def hostile(world: World, customer: Customer, now: datetime) -> Everything:
    return hostile_customer(world, customer, at=now)


@pytest.fixture
def owner(hostile: Everything) -> Client:
    browser = Client()
    browser.force_login(hostile.boss.user)
    browser.post("/app/account/confirm/", {"password": hostile.boss.user.email})
    return browser


@pytest.fixture
def operator(hostile: Everything) -> Client:
    browser = Client()
    browser.force_login(User.objects.create(username=f"ops {HOSTILE}", is_staff=True, is_superuser=True))
    return browser


def read(browser: Client, path: str) -> tuple[int, str, str]:
    """Status, kind and text of what an address answers."""
    answer: Any = browser.get(path)
    content = b"".join(answer) if answer.streaming else answer.content
    return answer.status_code, answer.headers.get("Content-Type", ""), content.decode("utf-8", "replace")


def looked_at(browser: Client, paths: list[str]) -> tuple[int, list[tuple[str, Any]]]:
    """How many pages showed the words, and what is wrong with which."""
    shown, wrong = 0, list[tuple[str, Any]]()
    for path in paths:
        status, kind, page = read(browser, path)
        if status >= 500:
            wrong.append((path, status))
        if "html" in kind:
            wrong += [(path, each) for each in doings(page)]
            shown += DOES in page
    return shown, wrong


def test_no_page_of_the_dashboard_does_what_a_word_says(owner: Client, hostile: Everything) -> None:
    shown, wrong = looked_at(owner, list(app_pages(hostile)))
    assert wrong == []
    assert shown > 40


def test_no_page_of_the_console_does_what_a_word_says(operator: Client) -> None:
    shown, wrong = looked_at(operator, list(console_pages()))
    assert wrong == []
    assert shown > 40


def test_this_would_see_a_word_that_does_something() -> None:
    for bad in (HOSTILE, f"<p onclick='{DOES}'>", "<a href=' JavaScript:x'>", f"<div x-data='{DOES}'>"):
        assert doings(f"<p>{bad}</p>")


def test_a_file_is_never_a_page(owner: Client, hostile: Everything) -> None:
    """What a browser is given of a customer's words and is no HTML of ours is saved, and not sniffed."""
    for path in app_pages(hostile):
        answer = owner.get(path)
        if answer.status_code == 200 and "html" not in answer.headers["Content-Type"]:
            assert answer.headers["X-Content-Type-Options"] == "nosniff", path
            assert answer.headers["Content-Disposition"].startswith("attachment"), path


@pytest.mark.parametrize("word", [FORMULA, "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", " =1", '"=1'])
def test_no_cell_of_a_spreadsheet_is_a_formula(
    word: str, browser: Client, customer: Customer, talk: Talk, now: datetime
) -> None:
    talk.session_id = talk.server["name"] = talk.server["version"] = talk.client["name"] = word
    talk.answer(talk.request(word, {word: word}, tool=word), {"content": []})
    talk.line(word.encode())
    talk.store(customer)
    rows = list(csv.reader(io.StringIO(read(browser, "/app/events/export.csv")[2], newline="")))
    assert len(rows) == 4
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝"))]
    assert [cell for cell in cells if word.strip() in cell]
    lines = read(browser, "/app/events/export.jsonl")[2].splitlines()
    assert [json.loads(line)["tool"] for line in lines].count(word) == 2  # a program gets the word itself
    assert len(rows[0]) == len(COLUMNS)


def test_letters_are_text_to_whom_they_are_meant_for_and_nobody_else(
    owner: Client, hostile: Everything, now: datetime
) -> None:
    owner.post("/app/settings/members/invite", {"email": "new@acme.example", "role": "viewer"})
    email = Destination.objects.get(customer=hostile.customer, channel="email")
    owner.post(f"/app/alerts/destinations/{email.public_id}/test")
    owner.post(f"/app/alerts/destinations/{email.public_id}/switch", {"on": "1"})
    Delivery.objects.exclude(destination=email).delete()
    sending.send_due(clock=present)
    assert {each.to[0] for each in mail.outbox} == {"new@acme.example", hostile.boss.user.email}
    for letter in mail.outbox:
        sent = letter.message()
        assert sent.get_content_type() == "text/plain"
        assert not letter.alternatives if hasattr(letter, "alternatives") else True
        assert not letter.bcc and not letter.cc


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\x0b", "\u2028"])
def test_no_name_adds_a_header_to_a_letter(break_: str, settings: Any, db: None) -> None:
    settings.SIGN_UP = "open"
    sent = {"email": "new@acme.example", "organisation": f"Acme{break_}Bcc: eve@evil.example"}
    answer = Client().post("/app/sign-up", sent)
    assert answer.status_code in {200, 400}
    assert answer.status_code == 200 or not Invitation.objects.exists()
    for letter in mail.outbox:
        assert letter.recipients() == ["new@acme.example"]
        assert "\nBcc:" not in letter.message().as_string()
