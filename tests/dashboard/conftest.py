"""A customer with a member signed in, a customer beside it, and a session of each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache
from django.test import Client

from customers.accounts import add_member, create_customer
from customers.models import Customer, Member
from tests.dashboard.traffic import Talk

PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def no_failed_sign_ins() -> None:
    """Throttling counts per process: a test starts with none."""
    cache.clear()


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def customer(db: None, now: datetime) -> Customer:
    return create_customer("Acme Robotics", "pro", at=now)


@pytest.fixture
def stranger(db: None, now: datetime) -> Customer:
    return create_customer("Somebody Else", "pro", at=now)


@pytest.fixture
def sign_in(now: datetime) -> Callable[..., Client]:
    """A browser signed in as a new member of a customer."""

    def signed_in(customer: Customer, role: str = Member.Role.OWNER) -> Client:
        member = add_member(customer, f"{role}-{customer.pk}@example.com", PASSWORD, role, at=now)
        browser = Client()
        browser.force_login(member.user)
        return browser

    return signed_in


@pytest.fixture
def browser(customer: Customer, sign_in: Callable[..., Client]) -> Client:
    return sign_in(customer)


@pytest.fixture
def talk(now: datetime) -> Talk:
    """A session that began half a minute ago; nothing is said yet."""
    return Talk("s-1", started_at=now - timedelta(seconds=30))
