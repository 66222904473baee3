"""Customers begin with a subscription, people with a password worth one, and each finds their own."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import authenticate as sign_in
from django.contrib.auth.models import AnonymousUser, User

from core.errors import ApiError, InvalidRequest
from customers import accounts, queries
from customers.errors import EmailTaken
from customers.models import AuditEntry, Customer, Member, Subscription

PASSWORD = "correct horse battery staple"


def test_a_customer_begins_with_an_active_subscription(acme: Customer, moment: datetime) -> None:
    entitlement = queries.entitlement_of(acme, at=moment)
    assert (entitlement.tier, entitlement.status) == ("pro", "active")
    assert acme.public_id.startswith("cus_")
    assert AuditEntry.objects.get(action="customer.created").customer_public_id == acme.public_id


def test_a_customer_may_begin_with_a_trial(db: None, moment: datetime) -> None:
    trial = accounts.create_customer("Trial", "pro", at=moment, trial_ends_at=moment + timedelta(days=14))
    assert queries.entitlement_of(trial, at=moment).status == "trialing"
    assert queries.entitlement_of(trial, at=moment + timedelta(days=14)).tier == "free"


@pytest.mark.parametrize(("name", "tier"), [("", "pro"), ("  ", "pro"), ("x" * 121, "pro"), ("Acme", "gold")])
def test_a_customer_without_a_name_or_tier_is_not_made(db: None, moment: datetime, name: str, tier: str) -> None:
    with pytest.raises(InvalidRequest):
        accounts.create_customer(name, tier, at=moment)
    assert Customer.objects.count() == 0


def test_a_member_signs_in_and_finds_their_customer(acme: Customer, globex: Customer, moment: datetime) -> None:
    accounts.add_member(acme, " Ann@Acme.example ", PASSWORD, Member.Role.OWNER, at=moment)
    accounts.add_member(globex, "bob@globex.example", PASSWORD, Member.Role.VIEWER, at=moment)
    ann = sign_in(username="ann@acme.example", password=PASSWORD)
    assert ann is not None
    assert queries.customer_of(ann) == acme


def test_a_member_of_two_sees_the_first_they_joined(acme: Customer, globex: Customer, moment: datetime) -> None:
    user = accounts.add_member(globex, "ann@acme.example", PASSWORD, Member.Role.OWNER, at=moment).user
    Member.objects.create(customer=acme, user=user)
    assert queries.customer_of(user) == globex


def test_strangers_have_no_customer(db: None) -> None:
    assert queries.customer_of(AnonymousUser()) is None
    assert queries.customer_of(User.objects.create_user("lonely")) is None


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"email": "nonsense"}, "nonsense"),
        ({"email": "a" * 150 + "@acme.example"}, "e-mail"),
        ({"password": "short"}, "short"),
        ({"password": "password1234"}, "common"),
        ({"role": "king"}, "king"),
    ],
)
def test_a_bad_member_is_refused_and_no_user_is_left_behind(
    acme: Customer, moment: datetime, columns: dict[str, str], named: str
) -> None:
    asked: dict[str, Any] = {"email": "ann@acme.example", "password": PASSWORD, "role": "owner"} | columns
    with pytest.raises(ApiError) as refused:
        accounts.add_member(acme, at=moment, **asked)
    assert named in refused.value.message
    assert User.objects.count() == Member.objects.count() == 0


def test_nobodys_password_is_replaced_by_adding_them_again(acme: Customer, globex: Customer, moment: datetime) -> None:
    accounts.add_member(acme, "ann@acme.example", PASSWORD, Member.Role.OWNER, at=moment)
    with pytest.raises(EmailTaken):
        accounts.add_member(globex, "ANN@acme.example", "another " + PASSWORD, Member.Role.OWNER, at=moment)
    assert sign_in(username="ann@acme.example", password=PASSWORD)


def test_retention_follows_the_tier_and_ends_with_the_subscription_only(
    acme: Customer, globex: Customer, moment: datetime
) -> None:
    orphan = Customer.objects.create(name="no subscription")
    unpaid = accounts.create_customer("Unpaid", "enterprise", at=moment)
    canceled = accounts.create_customer("Canceled", "enterprise", at=moment)
    Subscription.objects.filter(customer=unpaid).update(state="unpaid")
    Subscription.objects.filter(customer=canceled).update(state="canceled")
    expected = {acme.pk: 90, globex.pk: 7, orphan.pk: 7, unpaid.pk: 365, canceled.pk: 7}
    assert queries.retention_days_by_customer() == expected
    for customer in Customer.objects.all():
        assert queries.entitlement_of(customer, at=moment).retention_days == expected[customer.pk]
