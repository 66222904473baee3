"""The three tiers every installation starts with, as a table; after that they are rows an operator edits.

They are written after `migrate`, where missing, and never overwritten: a database that was emptied (a flush, a
restored schema) gets them back, and an operator's changed quota stays changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.apps import apps as installed_apps
from django.db import transaction

FREE = "free"
PRO = "pro"
ENTERPRISE = "enterprise"

FEATURES = {
    "console_logging": "Log messages on the console",
    "api_logging": "Ship messages to the service",
    "risk_analysis": "Point out risky calls",
    "advanced_analytics": "Analytics across servers",
    "private_registry": "A registry of private plugins",
    "audit_export": "Export of the audit log",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """One row of the table. `events_per_day` is `None` when it is agreed by contract."""

    code: str
    name: str
    events_per_day: int | None
    retention_days: int
    features: int  # how many of `FEATURES`, from the top: each tier has all of the one below


PLANS = (
    Plan(FREE, "Free", 1_000, 7, 1),
    Plan(PRO, "Pro", 100_000, 90, 3),
    Plan(ENTERPRISE, "Enterprise", None, 365, 6),
)


def ensure(apps: Any, using: str) -> None:
    """Add the features and tiers that are missing from database `using`."""
    feature_model, tier_model = apps.get_model("customers", "Feature"), apps.get_model("customers", "Tier")
    with transaction.atomic(using=using):
        features = [
            feature_model.objects.using(using).get_or_create(code=code, defaults={"name": name})[0]
            for code, name in FEATURES.items()
        ]
        for rank, plan in enumerate(PLANS):
            quota = {"events_per_day": plan.events_per_day, "retention_days": plan.retention_days}
            tier, created = tier_model.objects.using(using).get_or_create(
                code=plan.code, defaults={"name": plan.name, "rank": rank, **quota}
            )
            if created:
                tier.features.set(features[: plan.features])


def after_migrate(*, using: str, apps: Any = installed_apps, **_: Any) -> None:
    """The receiver of `post_migrate`. A flush gives no `apps`; one given lacks models that are being migrated away."""
    if {"tier", "feature"} <= set(apps.all_models["customers"]):
        ensure(apps, using)
