"""What the console changes of a customer: shown before it is done, guarded as on the customer's own page, on record."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from customers import accounts, entitlement_hooks
from customers.api_keys import Issued
from customers.models import ApiKey, AuditEntry, Customer, Machine, Member, Subscription, Tier
from tests.customers.answers import CONSOLE, everything_on

PASSWORD = "correct horse battery staple"


def test_a_subscription_changes_state_only_as_its_table_says(console: Client, acme: Customer) -> None:
    path = f"{CONSOLE}/subscription/{acme.subscription.pk}/change_state/"
    assert "Select a valid choice" in console.post(path, {"action": "settle"}).content.decode()
    preview_then_confirm(console, path, action="miss_payment")
    assert Subscription.objects.get(customer=acme).state == "past_due"
    preview_then_confirm(console, path, action="settle")
    assert Subscription.objects.get(customer=acme).state == "active"


def preview_then_confirm(console: Client, path: str, **answer: Any) -> str:
    """What the preview said; nothing changed until its fingerprint came back."""
    before = Subscription.objects.values().order_by("pk")
    rows = list(before)
    shown = console.post(path, answer).content.decode()
    assert list(before.all()) == rows
    found = re.search(r'name="confirm" value="([0-9a-f]{64})"', shown)
    assert found is not None
    page = console.post(path, {**answer, "confirm": found[1]}, follow=True).content.decode()
    assert "follows within a minute" in page
    return shown


def test_another_tier_is_previewed_then_confirmed_on_record(console: Client, acme: Customer) -> None:
    path, free = f"{CONSOLE}/subscription/{acme.subscription.pk}/change_terms/", Tier.objects.get(code="free").pk
    shown = preview_then_confirm(console, path, tier=free, events_per_day="")
    for words in ("api_logging", "risk_analysis", "1,000 events a day instead of 100,000", "kept 7 days instead of 90"):
        assert words in shown
    assert Subscription.objects.get(customer=acme).tier.code == "free"
    entry = AuditEntry.objects.get(action="subscription.terms_changed")
    assert (entry.actor, entry.details["before"]["tier"], entry.details["after"]["tier"]) == ("user:ops", "pro", "free")


def test_what_was_previewed_of_another_row_is_shown_anew_instead_of_done(console: Client, acme: Customer) -> None:
    path = f"{CONSOLE}/subscription/{acme.subscription.pk}/change_terms/"
    answer = {"tier": Tier.objects.get(code="free").pk, "events_per_day": ""}
    shown = re.search(r'name="confirm" value="([0-9a-f]{64})"', console.post(path, answer).content.decode())
    assert shown is not None
    Subscription.objects.filter(customer=acme).update(events_per_day=5)
    page = console.post(path, {**answer, "confirm": shown[1]}).content.decode()
    assert "changed since this was shown" in page
    assert Subscription.objects.get(customer=acme).tier.code == "pro"


def test_a_subscription_has_no_form_that_skips_the_preview(console: Client, acme: Customer) -> None:
    form = {"tier": Tier.objects.get(code="free").pk, "state": "canceled"}
    assert console.post(f"{CONSOLE}/subscription/{acme.subscription.pk}/change/", form).status_code == 403
    assert Subscription.objects.get(customer=acme).tier.code == "pro"


def test_one_page_shows_everything_about_a_customer(
    console: Client, issued: Issued, moment: datetime, django_assert_max_num_queries: Any
) -> None:
    acme = issued.key.customer
    for number in range(12):
        accounts.add_member(acme, f"p{number}@acme.example", PASSWORD, Member.Role.OWNER, at=moment)
        Machine.objects.create(
            customer=acme, machine=f"m{number}", name=f"laptop {number}", first_seen_at=moment, last_seen_at=moment
        )
    with django_assert_max_num_queries(32):
        page = everything_on(console, f"{CONSOLE}/customer/{acme.pk}/change/")
    for words in (acme.public_id, "Pro", "p7@acme.example", issued.key.prefix, "laptop 7", "member.added", "100,000"):
        assert words in page


def test_the_last_owner_stays_one_here_too(console: Client, acme: Customer, moment: datetime) -> None:
    ann = accounts.add_member(acme, "ann@acme.example", PASSWORD, Member.Role.OWNER, at=moment)
    page = console.post(f"{CONSOLE}/member/{ann.pk}/change/", {"role": "viewer"}, follow=True).content.decode()
    assert "last owner" in page
    page = console.post(f"{CONSOLE}/member/{ann.pk}/delete/", {"post": "yes"}, follow=True).content.decode()
    assert "last owner" in page
    bulk = {"action": "delete_selected", "_selected_action": [ann.pk], "post": "yes"}
    console.post(f"{CONSOLE}/member/", bulk)
    console.post(f"/admin/auth/user/{ann.user_id}/delete/", {"post": "yes"})
    assert Member.objects.get(customer=acme).role == "owner"
    bob = accounts.add_member(acme, "bob@acme.example", PASSWORD, Member.Role.OWNER, at=moment)
    console.post(f"{CONSOLE}/member/{bob.pk}/change/", {"role": "viewer"})
    assert Member.objects.get(pk=bob.pk).role == "viewer"
    entry = AuditEntry.objects.get(action="member.role_changed")
    assert (entry.actor, entry.details["role"]) == ("user:ops", "viewer")


def test_who_may_do_what_is_on_record(console: Client) -> None:
    ann = User.objects.create_user("ann")
    form = {
        "username": "ann",
        "is_active": "on",
        "is_staff": "on",
        "date_joined_0": "2026-11-22",
        "date_joined_1": "12:00",
    }
    assert console.post(f"/admin/auth/user/{ann.pk}/change/", form).status_code == 302
    assert User.objects.get(pk=ann.pk).is_staff
    entry = AuditEntry.objects.get(action="user.changed")
    assert (entry.actor, entry.subject) == ("user:ops", "user:ann")


def test_a_changed_tier_reaches_the_repositories_of_its_customers(
    console: Client, acme: Customer, globex: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Customer] = []
    monkeypatch.setattr(entitlement_hooks, "_hooks", [told.append])
    form = {"name": "Pro", "rank": 1, "events_per_day": 5, "retention_days": 90, "features": []}
    console.post(f"{CONSOLE}/tier/{acme.subscription.tier_id}/change/", form)
    assert told == [acme]  # globex has another tier


def test_a_machine_is_removed_with_its_key_on_record(console: Client, issued: Issued, moment: datetime) -> None:
    row = Machine.objects.create(
        customer=issued.key.customer,
        machine="m1",
        name="ann-laptop",
        key_id=issued.key.public_id,
        first_seen_at=moment,
        last_seen_at=moment,
    )
    path = f"{CONSOLE}/machine/{row.pk}/remove/"
    assert "Revoke the API key" in everything_on(console, path)
    assert console.post(path, {"revoke_key": "on"}, follow=True).status_code == 200
    assert not Machine.objects.exists()
    assert ApiKey.objects.get().revoked_at is not None
    entry = AuditEntry.objects.get(action="machine.removed")
    assert (entry.actor, entry.details["key_revoked"]) == ("user:ops", True)
