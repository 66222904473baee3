"""`reset_second_factors`: every factor goes, every browser is signed out, the reason is on record."""

from __future__ import annotations

from datetime import datetime

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.core.management import CommandError, call_command
from django.test import Client

from customers import accounts
from customers.models import AuditEntry, Customer, Member

EMAIL = "ann@acme.example"


@pytest.fixture
def ann(acme: Customer, moment: datetime) -> Member:
    member = accounts.add_member(acme, EMAIL, "correct horse battery staple", "owner", at=moment)
    for kind in (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES):
        Authenticator.objects.create(user=member.user, type=kind, data={})
    return member


def test_all_of_them_go_with_the_sessions_and_two_entries(ann: Member, acme: Customer) -> None:
    browser = Client()
    browser.force_login(ann.user)
    session = browser.session
    UserSession.objects.create(user=ann.user, session_key=session.session_key, ip="127.0.0.1", user_agent="x", data={})
    call_command("reset_second_factors", "--email", "Ann@Acme.Example", "--reason", "lost her phone", "--json")
    assert not Authenticator.objects.exists()
    assert browser.get("/app/settings/members").status_code == 302
    entries = AuditEntry.objects.filter(action="second_factor.reset")
    assert {entry.customer_public_id for entry in entries} == {"", acme.public_id}
    assert {entry.details["reason"] for entry in entries} == {"lost her phone"}


@pytest.mark.parametrize(
    ("email", "reason", "words"),
    [("bob@acme.example", "x", "no user"), (EMAIL, "  ", "is empty"), (EMAIL, "x", "no second")],
)
def test_what_it_cannot_do_it_says_and_leaves_all_as_it_was(ann: Member, email: str, reason: str, words: str) -> None:
    if words == "no second":
        Authenticator.objects.all().delete()
    before = Authenticator.objects.count()
    with pytest.raises(CommandError, match=words):
        call_command("reset_second_factors", "--email", email, "--reason", reason)
    assert Authenticator.objects.count() == before
    assert not AuditEntry.objects.filter(action="second_factor.reset").exists()
