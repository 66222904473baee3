"""A database of the release before, with a customer in it, is brought up to date: nothing is lost or changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from alerts.models import Destination
from customers import accounts, audit, audit_chain, invitations
from customers.models import AuditEntry, Customer, Invitation, Machine, Member
from events.definitions_models import ToolServer
from events.models import InboxEntry
from kmcloud.models import HealthChange
from tests.events.databases import POSTGRESQL, in_use, real_database

BEFORE = [
    *[("customers", "0001_initial"), ("events", "0004_event_keys"), ("otlp", "0001_initial")],
    ("plugins_registry", "0004_builds_are_claimed"),
]
"""The end of each room in the release that had no dashboard; nothing of `alerts`, `kmcloud` and allauth."""
AT = datetime(2026, 11, 20, 8, tzinfo=UTC)
ENTRIES = 2_500  # more than are chained at once

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def of_before(django_db_setup: None, django_db_blocker: Any) -> Iterator[Any]:
    """Django's default database is a PostgreSQL as that release left it; its models, as they were."""
    with django_db_blocker.unblock(), real_database(POSTGRESQL):
        with connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE of_before TEMPLATE template0")
        own = {**connection.settings_dict, "NAME": "of_before"}
        with in_use(own, migrate=False):
            executor = MigrationExecutor(connection)
            yield executor.migrate([*BEFORE, *_of_django(executor)]).apps


def _of_django(executor: MigrationExecutor) -> list[tuple[str, str]]:
    theirs = {"auth", "admin", "contenttypes", "sessions"}
    return [key for key in executor.loader.graph.leaf_nodes() if key[0] in theirs]


def filled(of_before: Any) -> dict[str, list[dict[str, Any]]]:
    """What a customer of that release had; every row of it, by table."""
    model = of_before.get_model
    tier = model("customers", "Tier").objects.create(code="old", name="Old", retention_days=30)
    acme = model("customers", "Customer").objects.create(public_id="cus_acme", name="Acme", created_at=AT)
    user = model("auth", "User").objects.create(username="ann@acme.example", email="ann@acme.example")
    model("customers", "Member").objects.create(customer=acme, user=user, role="owner", created_at=AT)
    model("customers", "Subscription").objects.create(customer=acme, tier=tier, state="active", state_since=AT)
    model("customers", "ApiKey").objects.create(customer=acme, name="laptop", prefix="km_live_0123", digest="d" * 64)
    entry = model("customers", "AuditEntry")
    entry.objects.bulk_create(
        entry(at=AT, actor="user:ann", action="api_key.issued", subject=f"api_key:{number}",
              customer_public_id=["cus_acme", ""][number % 2], details={"number": number, "é": [1.5, None]})
        for number in range(ENTRIES)
    )  # fmt: skip
    model("events", "InboxEntry").objects.create(
        customer_id=acme.pk, received_at=AT, kind="events", events=1, retry_at=AT, body=b'{"events": []}'
    )
    tables = ("Customer", "Member", "Subscription", "ApiKey", "AuditEntry")
    return {name: list(model("customers", name).objects.order_by("pk").values()) for name in tables}


def test_everything_is_there_chained_and_usable_after_the_upgrade(of_before: Any) -> None:
    before = filled(of_before)
    call_command("migrate", verbosity=0)
    for name, rows in before.items():
        columns = rows[0].keys()
        assert list(apps.get_model("customers", name)._default_manager.order_by("pk").values(*columns)) == rows, name
    assert bytes(InboxEntry.objects.get().body) == b'{"events": []}'
    verdicts = {each.chain: (each.entries, each.fault) for each in audit_chain.verify_all()}
    assert verdicts == {"": (ENTRIES // 2, None), "cus_acme": (ENTRIES // 2, None)}
    acme, member = Customer.objects.get(public_id="cus_acme"), Member.objects.get()
    audit.record("test.done", subject="x", at=AT, customer=acme)
    invitations.invite(acme, "new@acme.example", "viewer", by=member, at=AT)
    assert audit_chain.verify("cus_acme").fault is None
    assert Invitation.objects.count() == 1
    for table in (Machine, ToolServer, Destination, HealthChange):
        assert not table.objects.exists()  # there, and empty
    assert accounts.create_customer("Globex", "pro", at=AT).name == "Globex"

    _the_release_before_writes(of_before)


def _the_release_before_writes(of_before: Any) -> None:
    """Until it is replaced: its models know none of the new columns, and need none."""
    entry = of_before.get_model("customers", "AuditEntry").objects.create(
        at=AT, actor="system", action="customer.created", subject="x", customer_public_id="cus_other", details={}
    )
    assert (AuditEntry.objects.get(pk=entry.pk).number, AuditEntry.objects.get(pk=entry.pk).hash) == (0, "")
