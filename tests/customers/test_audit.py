"""The audit log grows and never changes, and an act that fails leaves no entry."""

from __future__ import annotations

from datetime import datetime

import pytest
from django.db import transaction

from customers import api_keys, audit
from customers.models import AppendOnlyError, AuditEntry, Customer


@pytest.fixture
def entry(acme: Customer, moment: datetime) -> AuditEntry:
    return audit.record("thing.done", subject="thing:1", at=moment, actor="user:ann", customer=acme, how="well")


def test_an_entry_says_who_did_what_to_which_thing(entry: AuditEntry, acme: Customer, moment: datetime) -> None:
    stored = AuditEntry.objects.get(pk=entry.pk)
    assert (stored.at, stored.actor, stored.action, stored.subject) == (moment, "user:ann", "thing.done", "thing:1")
    assert (stored.customer_public_id, stored.details) == (acme.public_id, {"how": "well"})


def test_an_entry_cannot_be_changed_or_deleted(entry: AuditEntry) -> None:
    entry.action = "thing.undone"
    with pytest.raises(AppendOnlyError):
        entry.save()
    with pytest.raises(AppendOnlyError):
        entry.delete()


def test_entries_cannot_be_changed_or_deleted_together(entry: AuditEntry) -> None:
    with pytest.raises(AppendOnlyError):
        AuditEntry.objects.update(action="thing.undone")
    with pytest.raises(AppendOnlyError):
        AuditEntry.objects.filter(pk=entry.pk).delete()
    with pytest.raises(AppendOnlyError), transaction.atomic():
        AuditEntry.objects.bulk_update([entry], ["action"])
    assert AuditEntry.objects.get(pk=entry.pk).action == "thing.done"


def test_entries_outlive_their_customer(entry: AuditEntry, acme: Customer) -> None:
    public_id = acme.public_id
    acme.delete()
    assert AuditEntry.objects.filter(customer_public_id=public_id).exists()


def test_an_act_that_is_rolled_back_leaves_no_entry(acme: Customer, moment: datetime) -> None:
    before = AuditEntry.objects.count()
    with pytest.raises(RuntimeError), transaction.atomic():
        api_keys.issue(acme, "never", at=moment)
        raise RuntimeError
    assert AuditEntry.objects.count() == before


def test_no_entry_holds_a_secret(acme: Customer, moment: datetime) -> None:
    issued = api_keys.issue(acme, "laptop", at=moment)
    replaced = api_keys.rotate(issued.key, at=moment)
    api_keys.revoke(issued.key, at=moment)
    for secret in (issued.secret, replaced.secret):
        assert all(secret[12:] not in str(row) for row in AuditEntry.objects.values_list())
