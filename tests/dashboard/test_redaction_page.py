"""Settings → Redaction: what each machine says it takes out, and who sends messages as they are."""

from __future__ import annotations

from datetime import datetime

from django.test import Client

from customers import machines
from customers.authentication import Principal
from customers.machines import MachineReport, RedactionReport
from customers.models import Customer

PAGE = "/app/settings/redaction"
HOSTILE = "<script>alert(1)</script>"


def report(customer: Customer, name: str, told: RedactionReport | None, now: datetime) -> None:
    who = Principal(customer.pk, customer.public_id, "", "pro", frozenset(), None, 90, frozenset(), 1, "key_1")
    machines.report(who, MachineReport(name, name=name, redaction=told), at=now)


def test_nobodys_page_says_how_to_begin(browser: Client) -> None:
    text = browser.get(PAGE).content.decode()
    assert "No machine yet" in text and "redaction.patterns.ticket" in text


def test_it_shows_each_machine_and_adds_up_what_was_taken_out(
    browser: Client, customer: Customer, stranger: Customer, now: datetime
) -> None:
    report(customer, "ann-laptop", RedactionReport(patterns=2, redacted={"github": 3, "jwt": 1}), now)
    report(customer, "bob-laptop", RedactionReport(redacted={"github": 4}), now)
    report(customer, "old-laptop", None, now)
    report(stranger, "theirs", RedactionReport(redacted={"stripe": 9}), now)
    text = " ".join(browser.get(PAGE).content.decode().split())
    assert "8 since each machine began" in text
    assert text.index("github") < text.index("jwt") and ">7<" in text
    assert "not told" in text
    assert "as they are" not in text
    assert "theirs" not in text and "stripe" not in text


def test_a_machine_that_sends_messages_as_they_are_stands_out(
    browser: Client, customer: Customer, now: datetime
) -> None:
    report(customer, "ann-laptop", RedactionReport(enabled=False), now)
    text = browser.get(PAGE).content.decode()
    assert "1 machine sends messages as they are" in text and "redaction.enabled true" in text


def test_a_machines_words_stay_words(browser: Client, customer: Customer, now: datetime) -> None:
    report(customer, HOSTILE, RedactionReport(redacted={HOSTILE: 1}), now)
    text = browser.get(PAGE).content.decode()
    assert "<script>alert" not in text and "&lt;script&gt;" in text
