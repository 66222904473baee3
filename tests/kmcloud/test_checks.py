"""Settings that cannot work are refused by id, and the laptop's defaults pass."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.test import override_settings

from customers import checks as customers_checks
from kmcloud import checks

POSTGRES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "km"}}
SOUND = {
    "PRODUCTION": True,
    "DEBUG": False,
    "REDIS_URL": "redis://cache.internal:6379/0",
    "PUBLIC_URL": "https://km.example.org",
    "ALLOWED_HOSTS": ["km.example.org"],
}

CHECKS = (
    checks.production_settings,
    checks.sqlite_is_durable,
    checks.strangers_cannot_pose_as_the_proxy,
    customers_checks.secrets_are_long,
    customers_checks.tokens_live_reasonably,
)


def found(**changed: Any) -> set[str]:
    with override_settings(**changed):
        messages = [
            *checks.production_settings(),
            *checks.sqlite_is_durable(),
            *checks.strangers_cannot_pose_as_the_proxy(),
        ]
        messages += [*customers_checks.secrets_are_long(), *customers_checks.tokens_live_reasonably()]
    assert all(message.hint for message in messages)
    return {str(message.id) for message in messages}


def sound(**changed: Any) -> set[str]:
    """What is found in a sound production server with `changed` settings, its database being PostgreSQL."""
    databases = changed.pop("DATABASES", POSTGRES)
    kept = copy.deepcopy(settings.DATABASES)
    settings.DATABASES = databases
    try:
        return found(**SOUND | changed)
    finally:
        settings.DATABASES = kept


def test_the_defaults_of_a_laptop_pass() -> None:
    assert found() == set()


def test_a_sound_production_server_passes() -> None:
    assert sound() == set()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"REDIS_URL": ""}, "kmcloud.E002"),
        ({"PUBLIC_URL": "http://km.example.org"}, "kmcloud.E003"),
        ({"DEBUG": True}, "kmcloud.E004"),
        ({"ALLOWED_HOSTS": ["*"]}, "kmcloud.E005"),
        ({"ALLOWED_HOSTS": ["127.0.0.1", "localhost"]}, "kmcloud.E005"),
        ({"API_KEY_PEPPER": b"short"}, "customers.E001"),
        ({"SIGNING_KEY_PASSPHRASE": b"short"}, "customers.E002"),
        ({"TOKEN_SECONDS": 10}, "customers.E003"),
        ({"TOKEN_SECONDS": 10**6}, "customers.E003"),
        ({"TRUST_PROXY": True, "PUBLIC_URL": "http://km.example.org"}, "kmcloud.W001"),
    ],
)
def test_each_impossible_setting_has_its_id(changed: dict[str, Any], expected: str) -> None:
    assert expected in sound(**changed)


def test_production_on_sqlite_is_refused() -> None:
    assert "kmcloud.E001" in found(**SOUND)


def test_sqlite_that_does_not_sync_is_refused_everywhere() -> None:
    hasty = {
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "x", "OPTIONS": {"transaction_mode": "IMMEDIATE"}}
    }
    assert "kmcloud.E006" in sound(DATABASES=hasty)


def test_every_check_of_ours_runs_with_the_others() -> None:
    with override_settings(**SOUND):
        ids = {message.id for message in run_checks()}
    assert "kmcloud.E001" in ids
