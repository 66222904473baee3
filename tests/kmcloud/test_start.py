"""A process loads what it needs and not what another one may need: hundreds are started, and people wait for each."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.optional import without

ROOT = Path(__file__).resolve().parent.parent.parent

NOBODY = {
    "boto3": "AWS's library comes with `plugins_registry.signing.signers`: load that where something is signed",
    "cyclonedx": "bills of materials are written by builds: load `building.bill_of_materials` there",
    "django.test": "Django's test tools come with drf-spectacular's: say `core.described.extend_schema`",
    "drf_spectacular.openapi": "`kmcloud.openapi` writes the API's description, for whoever asks for it",
    "opentelemetry": "`events.otlp` exports from its task",
    "pkcs11": "hardware modules come with `plugins_registry.signing.signers`, as boto3 does",
    "psycopg": "the database is SQLite: load it in branches for PostgreSQL (`kmcloud.spared` for libraries')",
    "redis": "an embedded service has none: load `core.redis_client` and `kmcloud.queue_metrics` where it has one",
    "rich": "structlog loads it to draw tracebacks, which `kmcloud.logs` forbids: see `kmcloud.__init__`",
    "securesystemslib.signer": "it loads every vendor's library: see boto3",
    "tuf": "`plugins_registry.repositories.rounds` and `serving` are loaded by the task and the view that need them",
}
WITHOUT_PAGES = {
    "django.contrib.postgres": "libraries of pages load it: see rest_framework",
    "fido2": "passkeys are for their pages",
    "jwt": "tokens are for requests: `customers.authentication`, `customers.tokens`",
    "kmcloud.urls": "a process that answers no request needs no address",
    "plugins_registry.inspection": "the tools that check a submission are loaded by the task that does",
    "requests": "single sign-on is for its pages (`kmcloud.page_apps`)",
    "rest_framework.views": "rooms raise `core.errors`, which views encode (`core.error_answers`)",
    "unfold.admin": "the console's pages are loaded with the addresses (`kmcloud.page_apps`)",
}
SETUP = "import json, sys; import django; django.setup()"
TELL = "print(json.dumps(sorted(sys.modules)))"
KINDS = {
    "every command": (SETUP, NOBODY | WITHOUT_PAGES),
    "a worker": (
        f"{SETUP}; from kmcloud import worker; app = worker.app; app.loader.import_default_modules();"
        " from celery.fixups.django import DjangoWorkerFixup; DjangoWorkerFixup(app).validate_models()",
        NOBODY | WITHOUT_PAGES,
    ),
    "the web server": (f"{SETUP}; import kmcloud.wsgi", NOBODY),
}


def run(*command: str, at: Path) -> str:
    """The output of a fresh Python, as an embedded service starts it."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("KM_")}
    environment = mine | {"DJANGO_SETTINGS_MODULE": "kmcloud.settings", "KM_DATA_DIR": str(at)}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_a_start_loads_nothing_heavy_that_it_does_not_need(kind: str, tmp_path: Path) -> None:
    begin, unneeded = KINDS[kind]
    loaded = set(json.loads(run("-c", f"{begin}; {TELL}", at=tmp_path)))
    assert "customers.models" in loaded
    assert {name: f"{kind} loads it: {why}" for name, why in unneeded.items() if name in loaded} == {}


def test_the_consoles_pages_are_checked_by_whoever_has_not_loaded_them(tmp_path: Path) -> None:
    code = "from django.contrib import admin; from django.core import checks; from customers.models import Customer"
    has = "print(admin.site.is_registered(Customer))"
    told = run("-c", f"{SETUP}; {code}; {has}; checks.run_checks(tags=['admin']); {has}", at=tmp_path)
    assert told.split() == ["False", "True"]


def test_a_command_collects_garbage_and_not_in_what_was_loaded(tmp_path: Path) -> None:
    code = "import gc, json; print(json.dumps([gc.isenabled(), gc.get_freeze_count()]))"
    enabled, kept = json.loads(run("manage.py", "shell", "--no-imports", "--command", code, at=tmp_path))
    assert enabled
    assert kept > 50_000


def test_what_is_hidden_from_a_library_is_there_for_everybody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "km_nobody_loaded_this.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with without("km_nobody_loaded_this", "json"):
        assert importlib.import_module("json") is json
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("km_nobody_loaded_this")
    assert importlib.import_module("km_nobody_loaded_this").__name__ == "km_nobody_loaded_this"
    monkeypatch.delitem(sys.modules, "km_nobody_loaded_this")
