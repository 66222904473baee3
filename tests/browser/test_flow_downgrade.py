"""A downgrade: the operator sees what it would take away and confirms; the customer reads it on their own pages."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser import flows
from tests.browser.conftest import Recording
from tests.browser.flows import PASSWORD
from tests.browser.looks import everywhere
from tests.dashboard.traffic import Talk
from tests.end_to_end.service import Account, Service

pytestmark = pytest.mark.browser

OLD_EVENTS = 12


@pytest.fixture
def globex(service: Service) -> Account:
    """A Pro customer with events of a month ago, which Pro keeps and Free does not."""
    account = service.create_customer(f"Globex {uuid.uuid4().hex[:6]}")
    talk = Talk(uuid.uuid4().hex, started_at=datetime.now(UTC) - timedelta(days=30))
    for _ in range(OLD_EVENTS):
        talk.notify("n/old")
    Recording(talk, service, account).send()
    return account


@pytest.fixture
def operator(service: Service) -> str:
    """Whoever runs the service; their name."""
    name = f"ops-{uuid.uuid4().hex[:6]}"
    made = ("createsuperuser", "--noinput", "--username", name, "--email", f"{name}@example.org")
    service.manage(*made, DJANGO_SUPERUSER_PASSWORD=PASSWORD)
    return name


def test_a_downgrade_is_previewed_confirmed_and_read_by_the_customer(
    globex: Account, operator: str, context: Callable[..., BrowserContext], sign_in: Callable[..., Page]
) -> None:
    customer = sign_in(context(), globex, by_form=True)
    customer.goto("/app/settings/usage")
    plan = customer.get_by_role("region", name="Plan")
    expect(plan).to_contain_text("90 days")
    expect(plan).to_contain_text("api_logging")

    console = context().new_page()
    flows.sign_in(console, operator, to="/admin/")
    console.goto(f"/admin/customers/customer/?q={globex.public_id}")
    console.get_by_role("link", name="Globex").first.click()
    console.get_by_role("link", name="Change tier…").click()
    console.locator("[name=tier]").select_option(label="Free")
    wrong = everywhere(console, "what-if-form", within=".km")
    console.get_by_role("button", name="Show what it would do").click()
    losses = console.get_by_role("region", name="Loses")
    expect(losses).to_contain_text("api_logging")
    expect(losses).to_contain_text("events are kept 7 days instead of 90")
    expect(losses).to_contain_text(f"{OLD_EVENTS} events of 1 day are deleted")
    wrong += everywhere(console, "what-if", within=".km")
    customer.reload()
    expect(plan).to_contain_text("api_logging")  # looking at it changed nothing
    console.get_by_role("button", name="Change the subscription").click()
    expect(console.get_by_text("The subscription is changed.")).to_be_visible()

    customer.reload()
    expect(customer.locator(".page-head .badge")).to_have_text("Free")
    expect(plan).to_contain_text("7 days")
    expect(plan).not_to_contain_text("api_logging")
    customer.get_by_role("link", name="Audit log").click()
    entry = customer.get_by_role("row", name="subscription.terms_changed")
    expect(entry).to_contain_text(operator)
    expect(entry).to_contain_text("pro")
    expect(entry).to_contain_text("free")
    customer.get_by_role("link", name="Verify").click()
    expect(customer.get_by_text("Unbroken")).to_be_visible()
    wrong += everywhere(customer, "audit-verified")
    assert wrong == []
