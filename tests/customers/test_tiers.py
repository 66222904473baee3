"""The three tiers are there after `migrate`, come back after a flush, and an operator's edits stay."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.core.management import call_command

from customers import tiers
from customers.models import Feature, Tier

EXPECTED = {
    "free": ("Free", 1_000, 7, ["console_logging"]),
    "pro": ("Pro", 100_000, 90, ["console_logging", "api_logging", "risk_analysis"]),
    "enterprise": (
        "Enterprise",
        None,
        365,
        ["console_logging", "api_logging", "risk_analysis", "advanced_analytics", "private_registry", "audit_export"],
    ),
}


def stored() -> dict[str, tuple[str, int | None, int, list[str]]]:
    return {
        tier.code: (tier.name, tier.events_per_day, tier.retention_days, [each.code for each in tier.features.all()])
        for tier in Tier.objects.all()
    }


@pytest.mark.django_db
def test_a_new_database_has_the_three_tiers() -> None:
    assert stored() == EXPECTED


@pytest.mark.django_db(transaction=True)
def test_an_emptied_database_gets_them_back() -> None:
    call_command("flush", verbosity=0, interactive=False)
    assert stored() == EXPECTED


@pytest.mark.django_db
def test_what_an_operator_changed_stays_changed() -> None:
    Tier.objects.filter(code="pro").update(events_per_day=5)
    Tier.objects.get(code="pro").features.remove(Feature.objects.get(code="risk_analysis"))
    Tier.objects.filter(code="enterprise").delete()
    tiers.ensure(apps, "default")
    assert stored() == EXPECTED | {"pro": ("Pro", 5, 90, ["console_logging", "api_logging"])}
