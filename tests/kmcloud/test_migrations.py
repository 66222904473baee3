"""A migration must not stop a live service: no lock that waits for a rewrite, nothing the running code trips over.

The linter reads the SQL that PostgreSQL would be given. What is refused here is done in steps: add a nullable column,
fill it, then demand it; create an index `CONCURRENTLY`; stop reading a column in one release and drop it in the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django_migration_linter import MigrationLinter

from tests.events.databases import POSTGRESQL, real_database

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = {config.label for config in apps.get_app_configs() if Path(config.path).parent == ROOT}
# Older than production mode: they have run on laptops only, or run on an empty database.
BEFORE_ANYBODY = {
    ("customers", "0001_initial"),
    ("events", "0001_initial"),
    ("plugins_registry", "0001_initial"),
    ("plugins_registry", "0002_publication"),
    ("plugins_registry", "0003_approval_statement"),
    ("plugins_registry", "0004_builds_are_claimed"),
}

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def postgresql(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Django's default database is a PostgreSQL: it is asked for its SQL."""
    with django_db_blocker.unblock(), real_database(POSTGRESQL):
        yield


def test_no_migration_locks_or_breaks_a_live_service(postgresql: None, capsys: pytest.CaptureFixture[str]) -> None:
    linter = MigrationLinter(str(ROOT), analyser_string="postgresql", no_cache=True, quiet=["ok", "ignore"])
    ours = {key: each for key, each in linter.migration_loader.disk_migrations.items() if key[0] in ROOMS}
    assert ours.keys() >= BEFORE_ANYBODY
    for key in sorted(ours.keys() - BEFORE_ANYBODY):
        linter.lint_migration(ours[key])
    assert not linter.has_errors, capsys.readouterr().out
