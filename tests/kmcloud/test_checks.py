"""Settings that cannot work are refused by id, and the laptop's defaults pass."""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from customers import checks as customers_checks
from kmcloud import celery_app, checks
from kmcloud.roles import WORKERS

ROOT = Path(__file__).resolve().parent.parent.parent
POSTGRES = {"default": {"ENGINE": "core.postgresql", "NAME": "km"}}
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
    checks.go_platforms_are_known,
    customers_checks.secrets_are_long,
    customers_checks.tokens_live_reasonably,
    customers_checks.leases_are_refreshed_in_time,
)


def found(**changed: Any) -> set[str]:
    with override_settings(**changed):
        messages = [message for check in CHECKS for message in check()]
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
        ({"GO_PLATFORMS": ["linux-riscv64"]}, "kmcloud.E007"),
        ({"GO_PLATFORMS": []}, "kmcloud.E007"),
        ({"API_KEY_PEPPER": b"short"}, "customers.E001"),
        ({"SIGNING_KEY_PASSPHRASE": b"short"}, "customers.E002"),
        ({"TOKEN_SECONDS": 10}, "customers.E003"),
        ({"TOKEN_SECONDS": 10**6}, "customers.E003"),
        ({"LEASE_REFRESH_SECONDS": 0}, "customers.E004"),
        ({"LEASE_REFRESH_SECONDS": 3601}, "customers.E004"),
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


def test_every_check_of_ours_runs_when_the_service_starts(tmp_path: Path) -> None:
    """As an operator meets it: production switched on, nothing else thought of."""
    names = ("SECRET_KEY", "API_KEY_PEPPER", "SIGNING_KEY_PASSPHRASE", "SIGNER_PASSPHRASE", "SEALING_KEY")
    secrets = {f"KM_{name}": "x" * 64 for name in names}
    environment = {**os.environ, **secrets, "KM_PRODUCTION": "true", "KM_DATA_DIR": str(tmp_path)}
    environment |= {"KM_SIGNING_KEY_PASSPHRASE": "short", "KM_TOKEN_SECONDS": "1", "KM_DEBUG": "true"}
    environment["KM_LEASE_REFRESH_SECONDS"] = "0"
    done = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    expected = {f"kmcloud.E00{number}" for number in range(1, 6)} | {f"customers.E00{number}" for number in range(2, 5)}
    assert expected <= set(re.findall(r"\w+\.E\d{3}", done.stderr))


def test_production_without_a_secret_does_not_start(tmp_path: Path) -> None:
    environment = {**os.environ, "KM_PRODUCTION": "true", "KM_DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "`KM_SECRET_KEY` is not set" in done.stderr
    assert not list(tmp_path.rglob("secrets"))


def test_a_worker_of_a_role_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path) -> None:
    command = [sys.executable, "manage.py", "run_worker", "--role", "bilds"]
    environment = {**os.environ, "KM_DATA_DIR": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "'bilds'" in done.stderr and all(name in done.stderr for name in WORKERS)


def test_what_runs_by_the_clock_is_a_task_a_worker_knows() -> None:
    celery_app.loader.import_default_modules()
    scheduled = {entry["task"] for entry in celery_app.conf.beat_schedule.values()}
    assert scheduled
    assert scheduled <= set(celery_app.tasks)
