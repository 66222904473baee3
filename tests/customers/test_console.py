"""The admin console issues, rotates and revokes after asking, shows a secret once, edits no hash, records it all."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.test import Client

from core.clock import now
from customers import accounts, api_keys, audit, device_codes, invitations, revocation, signing_keys
from customers.admin import audit_filters
from customers.api_keys import Issued
from customers.models import (
    ApiKey,
    AuditChain,
    AuditEntry,
    Customer,
    DeviceGrant,
    Invitation,
    Machine,
    Member,
    RevokedToken,
    SigningKey,
    Subscription,
    Tier,
)
from tests.customers.answers import CONSOLE, everything_on

PASSWORD = "correct horse battery staple"
NOT_ADDED_BY_HAND = {Subscription, SigningKey, AuditEntry, AuditChain, Invitation, Machine, DeviceGrant}


def secret_on(page: str) -> str:
    found = re.search(r'<pre id="secret"[^>]*>(km_[^<]+)</pre>', page)
    assert found is not None
    return found.group(1)


def ask_then_answer(console: Client, path: str, **answer: Any) -> str:
    """Open the question, see that asking alone does nothing, answer it, and return the page that follows."""
    entries = AuditEntry.objects.count()
    assert "csrfmiddlewaretoken" in everything_on(console, path)
    assert AuditEntry.objects.count() == entries
    response = console.post(path, answer, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def test_a_stranger_and_a_customers_member_are_sent_to_the_login(db: None, client: Client) -> None:
    assert client.get("/admin/").status_code == 302
    client.force_login(User.objects.create_user("ann"))
    assert client.get(f"{CONSOLE}/apikey/").status_code == 302


@pytest.mark.parametrize("model", list(apps.get_app_config("customers").get_models()))
def test_every_list_and_form_opens(console: Client, issued: Issued, moment: datetime, model: type[Model]) -> None:
    ann = accounts.add_member(issued.key.customer, "ann@acme.example", PASSWORD, Member.Role.OWNER, at=moment)
    invitations.invite(issued.key.customer, "bob@acme.example", Member.Role.VIEWER, by=ann, at=moment)
    revocation.revoke_token(issued.key.customer, "tok_1", expires_at=moment, at=moment)
    signing_keys.signer(at=moment)
    Machine.objects.create(customer=issued.key.customer, machine="m1", first_seen_at=moment, last_seen_at=moment)
    device_codes.start(device_codes.Asking(name="laptop"), address="203.0.113.7", at=moment)
    base = f"{CONSOLE}/{model._meta.model_name}"
    everything_on(console, f"{base}/")
    everything_on(console, f"{base}/{model._default_manager.all()[0].pk}/change/")
    assert console.get(f"{base}/add/").status_code == (403 if model in NOT_ADDED_BY_HAND else 200)


def test_a_key_is_issued_and_its_secret_shown_once(console: Client, acme: Customer) -> None:
    form = {"customer": acme.pk, "name": "laptop", "scopes": ["events:write"], "expires_at_0": "", "expires_at_1": ""}
    response = console.post(f"{CONSOLE}/apikey/add/", form)
    secret = secret_on(response.content.decode())
    assert "no-store" in response["Cache-Control"]
    key = api_keys.find(secret)
    assert (key.customer, key.name, key.scopes) == (acme, "laptop", ["events:write"])
    assert AuditEntry.objects.get(action="api_key.issued").actor == "user:ops"
    for path in ("apikey/", f"apikey/{key.pk}/change/", f"customer/{acme.pk}/change/", "auditentry/"):
        page = everything_on(console, f"{CONSOLE}/{path}")
        assert secret not in page
        assert key.digest not in page


@pytest.mark.parametrize(
    "changed",
    [{"name": ""}, {"scopes": []}, {"scopes": ["root"]}, {"expires_at_0": "2020-01-01", "expires_at_1": "00:00"}],
)
def test_a_bad_form_issues_nothing(console: Client, acme: Customer, changed: dict[str, Any]) -> None:
    form = {"customer": acme.pk, "name": "laptop", "scopes": ["events:write"], "expires_at_0": "", "expires_at_1": ""}
    response = console.post(f"{CONSOLE}/apikey/add/", form | changed)
    assert response.status_code == 200
    assert ApiKey.objects.count() == 0


def test_a_refusal_is_told_as_a_message(console: Client, acme: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "MAX_LIVE_KEYS", 0)
    form = {"customer": acme.pk, "name": "laptop", "scopes": ["events:write"], "expires_at_0": "", "expires_at_1": ""}
    response = console.post(f"{CONSOLE}/apikey/add/", form, follow=True)
    assert "revoke the ones nobody uses" in response.content.decode()


def test_a_key_is_rotated_after_a_question(console: Client, issued: Issued) -> None:
    page = ask_then_answer(console, f"{CONSOLE}/apikey/{issued.key.pk}/rotate/")
    assert api_keys.find(secret_on(page)) == ApiKey.objects.get(pk=issued.key.pk).replaced_by
    again = ask_then_answer(console, f"{CONSOLE}/apikey/{issued.key.pk}/rotate/")
    assert "already replaced" in again


def test_a_key_is_revoked_after_a_question(console: Client, issued: Issued) -> None:
    assert "The key is revoked." in ask_then_answer(console, f"{CONSOLE}/apikey/{issued.key.pk}/revoke/")
    assert ApiKey.objects.get(pk=issued.key.pk).revoked_at is not None
    assert AuditEntry.objects.get(action="api_key.revoked").actor == "user:ops"


def test_a_keys_columns_cannot_be_edited_nor_its_row_deleted(console: Client, issued: Issued) -> None:
    forged = {"name": "x", "digest": "0" * 64, "prefix": "km_live_evil", "scopes": '["keys:manage"]'}
    assert console.post(f"{CONSOLE}/apikey/{issued.key.pk}/change/", forged).status_code == 403
    assert console.post(f"{CONSOLE}/apikey/{issued.key.pk}/delete/", {"post": "yes"}).status_code == 403
    stored = ApiKey.objects.get()
    assert (stored.name, stored.digest, stored.scopes) == (issued.key.name, issued.key.digest, issued.key.scopes)


def test_whoever_may_only_look_cannot_act(db: None, client: Client, issued: Issued, acme: Customer) -> None:
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(viewer)
    everything_on(client, f"{CONSOLE}/apikey/{issued.key.pk}/change/")
    for path in (
        f"apikey/{issued.key.pk}/revoke/", f"apikey/{issued.key.pk}/rotate/", f"customer/{acme.pk}/suspend/",
        f"customer/{acme.pk}/revoke_tokens/", f"subscription/{acme.subscription.pk}/change_state/",
        f"subscription/{acme.subscription.pk}/change_terms/",
        "signingkey/rotate/", "signingkey/replace_compromised/",
    ):  # fmt: skip
        assert client.post(f"{CONSOLE}/{path}").status_code == 403, path
    assert client.get(f"{CONSOLE}/apikey/add/").status_code == 403
    assert ApiKey.objects.get().revoked_at is None


def test_a_customer_is_made_with_a_subscription(console: Client) -> None:
    console.post(f"{CONSOLE}/customer/add/", {"name": "Initech", "tier": Tier.objects.get(code="pro").pk})
    made = Customer.objects.get(name="Initech")
    assert (made.subscription.tier.code, made.subscription.state) == ("pro", "active")
    assert [entry.action for entry in AuditEntry.objects.all()] == ["customer.created"]


def test_a_customer_is_renamed_on_record(console: Client, acme: Customer) -> None:
    inline = {f"api_keys-{name}_FORMS": "0" for name in ("TOTAL", "INITIAL", "MIN_NUM", "MAX_NUM")}
    console.post(f"{CONSOLE}/customer/{acme.pk}/change/", {"name": "Acme GmbH", **inline})
    assert Customer.objects.get(pk=acme.pk).name == "Acme GmbH"
    entry = AuditEntry.objects.get(action="customer.changed")
    assert (entry.details, entry.customer_public_id) == ({"columns": ["name"]}, acme.public_id)


def test_a_customer_is_suspended_and_reinstated_by_one_button(console: Client, acme: Customer) -> None:
    assert "The customer is suspended." in ask_then_answer(console, f"{CONSOLE}/customer/{acme.pk}/suspend/")
    assert Customer.objects.get(pk=acme.pk).suspended_at is not None
    assert "The customer is reinstated." in ask_then_answer(console, f"{CONSOLE}/customer/{acme.pk}/suspend/")
    assert Customer.objects.get(pk=acme.pk).suspended_at is None


def test_all_tokens_of_a_customer_are_revoked_after_a_question(console: Client, acme: Customer) -> None:
    ask_then_answer(console, f"{CONSOLE}/customer/{acme.pk}/revoke_tokens/")
    assert Customer.objects.get(pk=acme.pk).token_version == 2


def test_a_member_is_added_with_a_password_and_may_leave(console: Client, acme: Customer) -> None:
    form = {"customer": acme.pk, "role": "viewer", "email": "ann@acme.example", "password": PASSWORD}
    console.post(f"{CONSOLE}/member/add/", form)
    accounts.add_member(acme, "boss@acme.example", PASSWORD, Member.Role.OWNER, at=acme.created_at)
    member = Member.objects.get(customer=acme, role="viewer")
    assert member.user.check_password(PASSWORD)
    assert "there is already a user" in console.post(f"{CONSOLE}/member/add/", form, follow=True).content.decode()
    console.post(f"{CONSOLE}/member/{member.pk}/delete/", {"post": "yes"})
    assert Member.objects.get().role == "owner"
    assert AuditEntry.objects.all()[0].action == "member.removed"


def test_a_tiers_features_are_changed_on_record(console: Client) -> None:
    pro = Tier.objects.get(code="pro")
    form = {"name": "Pro", "rank": 1, "events_per_day": 200_000, "retention_days": 90}
    form |= {"features": [feature.pk for feature in Tier.objects.get(code="enterprise").features.all()]}
    console.post(f"{CONSOLE}/tier/{pro.pk}/change/", form)
    assert pro.features.count() == 6
    assert AuditEntry.objects.get(action="tier.changed").details == {"columns": ["events_per_day", "features"]}


def test_a_token_is_refused_by_its_jti(console: Client, acme: Customer) -> None:
    form = {"customer": acme.pk, "jti": "tok_1", "expires_at_0": "2030-01-01", "expires_at_1": "00:00"}
    console.post(f"{CONSOLE}/revokedtoken/add/", form)
    assert RevokedToken.objects.get().jti == "tok_1"
    assert AuditEntry.objects.get(action="token.revoked").actor == "user:ops"


def test_signing_keys_are_rotated_after_a_question_and_never_shown(console: Client) -> None:
    assert "A new key is announced." in ask_then_answer(console, f"{CONSOLE}/signingkey/rotate/")
    assert "--compromised" in ask_then_answer(console, f"{CONSOLE}/signingkey/rotate/")
    ask_then_answer(console, f"{CONSOLE}/signingkey/replace_compromised/")
    active = SigningKey.objects.get(state="active")
    page = everything_on(console, f"{CONSOLE}/signingkey/{active.pk}/change/")
    assert active.kid in page
    assert "PRIVATE KEY" not in page
    assert console.post(f"{CONSOLE}/signingkey/{active.pk}/change/", {"state": "removed"}).status_code == 403
    assert console.get(f"{CONSOLE}/signingkey/add/").status_code == 403


def test_the_audit_log_is_only_to_look_at(console: Client, issued: Issued) -> None:
    entry = AuditEntry.objects.latest("id")
    change = console.post(f"{CONSOLE}/auditentry/{entry.pk}/change/", {"action": "nothing"})
    delete = console.post(f"{CONSOLE}/auditentry/{entry.pk}/delete/", {"post": "yes"})
    bulk = console.post(f"{CONSOLE}/auditentry/", {"action": "delete_selected", "_selected_action": [entry.pk]})
    assert (change.status_code, delete.status_code) == (403, 403)
    assert bulk.status_code in {302, 403} or "delete" not in bulk.content.decode()
    assert AuditEntry.objects.filter(pk=entry.pk, action=entry.action).exists()
    assert console.get(f"{CONSOLE}/auditentry/add/").status_code == 403


def test_the_audit_log_is_narrowed_by_time_and_action_and_reads_no_more_than_the_newest_for_it(
    console: Client, issued: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = audit.record("old.act", subject="thing:1", at=now() - timedelta(days=40))
    lately = audit.record("new.act", subject="thing:2", at=now() - timedelta(days=3))
    for query, found in {
        "": 2,
        "since=30d": 1,
        "since=24h": 0,
        "action=old.act": 1,
        "since=7d&action=old.act": 0,
    }.items():
        page = everything_on(console, f"{CONSOLE}/auditentry/?q=thing&{query}")
        assert sum(each.subject in page for each in (long_ago, lately)) == found, query
    monkeypatch.setattr(audit_filters, "NEWEST", 1)
    offered = everything_on(console, f"{CONSOLE}/auditentry/?q=nothing")
    assert "action=new.act" in offered
    assert "action=old.act" not in offered


def test_the_console_has_a_policy_of_its_own_and_other_pages_the_strict_one(console: Client) -> None:
    policy = console.get("/admin/")["Content-Security-Policy"]
    for part in ("default-src 'self'", "frame-ancestors 'none'", "object-src 'none'", "form-action 'self'"):
        assert part in policy
    assert "'unsafe-eval'" in policy
    strict = console.get("/api/customer")["Content-Security-Policy"]
    assert "unsafe" not in strict
    assert "unsafe" not in console.get("/administration")["Content-Security-Policy"]
