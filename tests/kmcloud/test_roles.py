"""Each process of production does its own work, with the secrets that needs; what is missing is named at the start."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from core.clock import now
from events.models import Heartbeat
from events.sweeper import WORKER, beat
from kmcloud import celery_app, programs
from kmcloud.pulse import Pulse
from kmcloud.roles import BUILDS, EVERYTHING, FILE_SUFFIX, ROLES, SECRETS, SIGNING, WORKERS, environment_of
from tests.events.samples import await_that

ROOT = Path(__file__).resolve().parent.parent.parent
GIVEN = dict.fromkeys(SECRETS, "x" * 64) | {name + FILE_SUFFIX: "/x" for name in SECRETS} | {"PATH": "/bin"}


def test_a_worker_that_builds_is_given_no_secret() -> None:
    assert environment_of(BUILDS, GIVEN) == {"PATH": "/bin", "KM_ROLE": BUILDS}


def test_the_signer_is_given_the_registrys_and_no_other() -> None:
    held = {name.removesuffix(FILE_SUFFIX) for name in environment_of(SIGNING, GIVEN)} & SECRETS
    assert held == {"KM_SIGNER_PASSPHRASE", "KM_HSM_PIN"}


@pytest.mark.parametrize(("secret", "holders"), [("KM_METRICS_TOKEN", {"web"}), ("KM_OTLP_HEADERS", {"maintenance"})])
def test_the_keys_of_monitoring_are_given_to_who_uses_them_and_to_no_other(secret: str, holders: set[str]) -> None:
    assert {role for role in ROLES if secret in environment_of(role, GIVEN)} == holders
    assert {role for role in ROLES if secret + FILE_SUFFIX in environment_of(role, GIVEN)} == holders
    assert secret in EVERYTHING.secrets


@pytest.mark.parametrize("role", ROLES)
def test_every_role_starts_with_what_it_is_given(role: str, tmp_path: Path) -> None:
    """In production nothing is invented, so a secret that a role needs after all would stop it here."""
    environment = environment_of(role, {**os.environ, **dict.fromkeys(SECRETS, "x" * 64)})
    environment |= {"KM_PRODUCTION": "true", "KM_DATA_DIR": str(tmp_path), "KM_REDIS_URL": "redis://127.0.0.1:1/0"}
    code = "import django; django.setup(); import kmcloud.worker, kmcloud.beat; from kmcloud.celery import app;"
    done = subprocess.run(
        [sys.executable, "-c", f"{code} app.loader.import_default_modules()"],
        cwd=ROOT,
        env=environment | {"DJANGO_SETTINGS_MODULE": "kmcloud.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "secrets").exists()


def test_every_task_has_a_queue_that_somebody_works_on_and_builds_share_theirs_with_nobody() -> None:
    celery_app.loader.import_default_modules()
    tasks = {name for name in celery_app.tasks if not name.startswith("celery.")}
    queues = {name: celery_app.amqp.router.route({}, name)["queue"].name for name in tasks}
    assert set(queues.values()) == set(EVERYTHING.queues) == {queue for role in WORKERS for queue in ROLES[role].queues}
    assert {name for name, queue in queues.items() if queue == BUILDS} == {
        "registry.build_for",
        "registry.build_payload",
    }
    assert {name for name, queue in queues.items() if queue == "ingest"} == {"events.drain"}


def test_production_is_a_program_for_each_role_and_as_many_drains_as_are_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settings, "INGEST_WORKERS", 2)
    made = {program.name: program for program in programs.production("127.0.0.1", 8318)}
    assert made.keys() == {*ROLES, "ingest-2"}
    assert {name for name, program in made.items() if program.stage == programs.ASKS} == {"web", "beat"}
    for program in made.values():
        assert program.environment is not None
        assert str(os.getpid()) in program.command


def test_serve_production_names_everything_that_is_missing(tmp_path: Path) -> None:
    names = SECRETS - {"KM_HSM_PIN"}
    environment = {**os.environ, **dict.fromkeys(names, "x" * 64), "KM_DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "manage.py", "serve", "--production"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    for named in ("KM_DATABASE_URL=postgres://", "KM_REDIS_URL=redis://", "KM_PUBLIC_URL", "KM_ALLOWED_HOSTS"):
        assert named in done.stderr


@pytest.mark.django_db
def test_is_alive_tells_a_live_worker_from_a_silent_and_a_missing_one() -> None:
    with pytest.raises(CommandError, match="builds: has never run"):
        call_command("is_alive", "builds")
    beat("builds", now=now())
    assert call_command("is_alive", "builds") == "builds: 0 s ago"
    beat(WORKER, now=now() - timedelta(minutes=5))
    with pytest.raises(CommandError, match="ingest: silent for 300 s"):
        call_command("is_alive", "ingest")


@pytest.mark.django_db(transaction=True)
def test_a_pulse_beats_until_its_end() -> None:
    with Pulse("signing", clock=now):
        await_that(Heartbeat.objects.filter(name="signing").exists)
