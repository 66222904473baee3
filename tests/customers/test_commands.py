"""The operator's commands: one call, a result to read or to parse, nothing half done."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import authenticate as sign_in
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from core.clock import now
from customers import accounts, api_keys, queries
from customers.api_keys import Issued
from customers.authentication import authenticate
from customers.errors import RevokedApiKey
from customers.models import ApiKey, AuditEntry, Customer, SigningKey, Subscription

pytestmark = pytest.mark.django_db


def run(name: str, *arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command(name, *arguments, "--json", stdout=out)
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


def test_create_customer_makes_all_a_customer_needs() -> None:
    made = run("create_customer", "--name", "Acme", "--tier", "pro", "--email", "ann@acme.example")
    key = api_keys.find(made["api_key"])
    assert key.customer.public_id == made["customer"]
    assert queries.entitlement_of(key.customer, at=now()).tier == "pro"
    user = sign_in(username=made["login"], password=made["password"])
    assert user is not None
    assert queries.customer_of(user) == key.customer


def test_create_customer_takes_the_password_it_is_given() -> None:
    made = run("create_customer", "--name", "A", "--email", "a@a.example", "--password", "correct horse battery")
    assert made["tier"] == "free"
    assert sign_in(username="a@a.example", password="correct horse battery")


def test_the_result_for_people_has_a_line_for_each_thing() -> None:
    out = StringIO()
    call_command("create_customer", "--name", "Acme", "--email", "ann@acme.example", stdout=out)
    lines = dict(line.split(maxsplit=1) for line in out.getvalue().replace("api key", "api_key").splitlines())
    assert lines["login"] == "ann@acme.example"
    assert api_keys.find(lines["api_key"]).name == "first key"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--tier", "gold", "--email", "a@a.example"], "`free`, `pro`, `enterprise`"),
        (["--tier", "pro", "--email", "nonsense"], "e-mail"),
        (["--tier", "pro", "--email", "a@a.example", "--password", "short"], "password"),
    ],
)
def test_a_refused_customer_leaves_nothing_behind(arguments: list[str], named: str) -> None:
    with pytest.raises(CommandError, match=named):
        call_command("create_customer", "--name", "Acme", *arguments)
    assert Customer.objects.count() == User.objects.count() == AuditEntry.objects.count() == 0


def test_issue_key_gives_the_scopes_and_end_it_is_asked_for(acme: Customer) -> None:
    asked = ["--kind", "ci", "--scope", "events:write", "--scope", "keys:manage", "--expires-days", "30"]
    made = run("issue_key", "--customer", acme.public_id, "--name", "build server", *asked)
    assert made["api_key"].startswith("km_ci_")
    key = api_keys.find(made["api_key"])
    assert key.scopes == ["events:write", "keys:manage"]
    assert key.expires_at is not None
    assert 29 <= (key.expires_at - now()).days <= 30


def test_issue_key_names_a_customer_that_is_not_there() -> None:
    with pytest.raises(CommandError, match="cus_nobody"):
        call_command("issue_key", "--customer", "cus_nobody", "--name", "x")


@pytest.mark.parametrize("by", ["id", "secret"])
def test_revoke_key_takes_the_id_or_the_key_itself(issued: Issued, by: str) -> None:
    given = issued.key.public_id if by == "id" else issued.secret
    assert run("revoke_key", given, "--reason", "lost laptop")["result"] == "revoked"
    assert run("revoke_key", given)["result"] == "was already revoked"
    with pytest.raises(RevokedApiKey):
        api_keys.check_usable(ApiKey.objects.get(), at=now())
    assert AuditEntry.objects.get(action="api_key.revoked").details == {"reason": "lost laptop"}


@pytest.mark.parametrize("given", ["key_nobody", "nonsense"])
def test_revoke_key_names_what_it_did_not_find(given: str) -> None:
    with pytest.raises(CommandError, match="API key"):
        call_command("revoke_key", given)


def test_rotate_signing_key_announces_once_and_drops_all_when_one_has_leaked() -> None:
    made = run("rotate_signing_key")
    assert made["state"] == "announced"
    with pytest.raises(CommandError, match="--compromised"):
        call_command("rotate_signing_key")
    replaced = run("rotate_signing_key", "--compromised")
    assert list(SigningKey.objects.exclude(state="removed").values_list("kid", flat=True)) == [replaced["kid"]]


def test_change_subscription_moves_a_customer_to_another_tier(acme: Customer) -> None:
    made = run("change_subscription", "--customer", acme.public_id, "--tier", "enterprise")
    assert (made["name"], made["before"], made["tier"], made["status"]) == ("Acme", "pro", "enterprise", "active")
    assert "audit_export" in made["features"].split()
    assert queries.entitlement_of(acme, at=now()).tier == "enterprise"
    entry = AuditEntry.objects.get(action="subscription.tier_changed")
    assert (entry.customer_public_id, entry.details) == (acme.public_id, {"before": "pro", "after": "enterprise"})


def test_change_subscription_to_the_same_tier_changes_nothing(acme: Customer) -> None:
    made = run("change_subscription", "--customer", acme.public_id, "--tier", "pro")
    assert made["before"] == made["tier"] == "pro"
    assert not AuditEntry.objects.filter(action="subscription.tier_changed").exists()


def test_change_subscription_of_one_who_does_not_pay_says_what_holds(acme: Customer) -> None:
    Subscription.objects.update(state="canceled")
    made = run("change_subscription", "--customer", acme.public_id, "--tier", "enterprise")
    assert (made["tier"], made["status"], made["features"]) == ("enterprise", "canceled", "console_logging")


@pytest.mark.django_db(transaction=True)
def test_change_subscription_is_in_force_at_once_in_its_own_process(acme: Customer) -> None:
    header = f"Bearer {api_keys.issue(acme, 'laptop', at=now()).secret}"
    assert authenticate(header, now=now()).tier == "pro"
    run("change_subscription", "--customer", acme.public_id, "--tier", "free")
    assert authenticate(header, now=now()).tier == "free"


def test_change_subscription_is_in_force_elsewhere_within_a_minute(acme: Customer) -> None:
    """What another process remembers is not announced to it: its memory ends by itself."""
    moment = now()
    header = f"Bearer {api_keys.issue(acme, 'laptop', at=moment).secret}"
    assert authenticate(header, now=moment).tier == "pro"
    run("change_subscription", "--customer", acme.public_id, "--tier", "free")  # within this test's transaction
    assert authenticate(header, now=moment + timedelta(seconds=59)).tier == "pro"
    assert authenticate(header, now=moment + timedelta(seconds=60)).tier == "free"


def test_change_subscription_names_what_it_did_not_find(acme: Customer, globex: Customer) -> None:
    with pytest.raises(CommandError, match="`free`, `pro`, `enterprise`"):
        call_command("change_subscription", "--customer", acme.public_id, "--tier", "gold")
    with pytest.raises(CommandError) as refused:
        call_command("change_subscription", "--customer", "cus_nobody", "--tier", "pro")
    assert "`cus_nobody`" in str(refused.value)
    for known in (acme, globex):
        assert f"`{known.public_id}` ({known.name})" in str(refused.value)
    Subscription.objects.all().delete()
    with pytest.raises(CommandError, match="Acme has no subscription"):
        call_command("change_subscription", "--customer", acme.public_id, "--tier", "free")
    assert not AuditEntry.objects.filter(action="subscription.tier_changed").exists()


def test_a_hint_lists_the_newest_customers_and_counts_the_rest() -> None:
    with pytest.raises(CommandError, match="create_customer"):
        call_command("issue_key", "--customer", "cus_nobody", "--name", "k")
    for number in range(7):
        accounts.create_customer(f"C{number}", "free", at=now())
    with pytest.raises(CommandError, match="and 2 more") as refused:
        call_command("issue_key", "--customer", "cus_nobody", "--name", "k")
    assert "(C6)" in str(refused.value) and "(C1)" not in str(refused.value)
