"""Every page of the console in both themes, narrow and wide: it fits, and can be read by everybody, unfold's too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db.models import Model
from django.urls import reverse
from playwright.sync_api import Page
from pytest_django.live_server_helper import LiveServer

from customers.models import ApiKey, AuditEntry, Customer, DeviceGrant, Machine, Member, SigningKey, Subscription, Tier
from events.models import QuarantinedEntry
from plugins_registry.models import CustomerBuild, PayloadBuild, Plugin, ReviewerKey, Revision, SigningRole
from tests.browser.chromium import CHROMIUM
from tests.browser.looks import everywhere
from tests.browser.test_console import (
    a_days_work,
    operator_enters,
    page,  # noqa: F401 - a fixture
)
from tests.plugins_registry.storing import moved

LISTS = {
    "customers": (Customer, Tier, Subscription, Member, User),
    "keys": (ApiKey, Machine, DeviceGrant, SigningKey, SigningRole, AuditEntry),
    "plugins": (Revision, Plugin, PayloadBuild, CustomerBuild, ReviewerKey, QuarantinedEntry),
}
SINGLE = (
    Customer,
    Tier,
    Subscription,
    ApiKey,
    Machine,
    DeviceGrant,
    Revision,
    PayloadBuild,
    QuarantinedEntry,
    AuditEntry,
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed"),
]


def named(model: type[Model], what: str) -> str:
    return f"admin:{model._meta.app_label}_{model._meta.model_name}_{what}"


def addresses(part: str) -> list[str]:
    """The lists of a part of the console; of `one`, a page of a row of each kind, and what is no table at all."""
    if part in LISTS:
        return [reverse(named(model, "changelist")) for model in LISTS[part]]
    rows = [(model, model._default_manager.order_by("pk").first()) for model in SINGLE]
    return [reverse(named(model, "change"), args=(row.pk,)) for model, row in rows if row]


@pytest.mark.parametrize("part", [*LISTS, "one"])
def test_every_page_fits_and_can_be_read_by_everybody(
    part: str,
    page: tuple[Page, list[str]],  # noqa: F811 - the fixture
    live_server: LiveServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    browser, complaints = page
    moved(monkeypatch, tmp_path / "registry")
    a_days_work()
    operator_enters(browser, live_server.url)
    wrong = everywhere(browser, "console") if part == "customers" else []
    for path in addresses(part) + ([reverse("console_health")] if part == "keys" else []):
        answer = browser.goto(live_server.url + path)
        assert answer is not None
        assert answer.status == 200, path
        wrong += everywhere(browser, re.sub(r"\W+", "-", path).strip("-"))
    assert (wrong, complaints) == ([], [])
