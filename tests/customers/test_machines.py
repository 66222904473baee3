"""A client's word about its machine: kept, replaced, bounded, never believed, never another customer's to see."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import DataError

from core.clock import now
from core.errors import ApiError
from customers import machines
from customers.api_keys import Issued
from customers.authentication import Principal
from customers.machines import MachineReport, PluginReport
from customers.models import ApiKey, AuditEntry, Customer, Machine
from tests.customers.answers import Call

ID = "9f2c61d09f2c61d09f2c61d09f2c61d0"
PLUGIN = {"name": "slow-tools", "version": "1.2.0", "state": "not_entitled", "missing_features": ["api_logging"]}
REPORT = {
    "machine": ID,
    "name": "ann-laptop",
    "os": "Linux 6.1.0",
    "platform": "linux-amd64",
    "client_version": "0.1.0",
    "plugins": [PLUGIN],
}


def principal_of(customer: Customer, key: str = "key_1") -> Principal:
    return Principal(customer.pk, customer.public_id, customer.name, "pro", frozenset(), None, 90, frozenset(), 1, key)


def test_an_old_client_is_known_by_the_lease_it_asks_for(call: Call, laptop: Issued, acme: Customer) -> None:
    status, _ = call("GET", f"/api/subscription/status?machine={ID}", key=laptop.secret)
    row = Machine.objects.get()
    assert status == 200
    assert (row.customer, row.machine, row.name, row.reported_at) == (acme, ID, "", None)
    assert (row.key_id, str(row)) == (laptop.key.public_id, f"{ID[:8]}…")
    call("GET", "/api/subscription/status", key=laptop.secret)
    assert Machine.objects.count() == 1


def test_a_report_says_what_runs_there_and_the_next_one_replaces_it(call: Call, laptop: Issued) -> None:
    assert call("POST", "/api/machines", REPORT, key=laptop.secret) == (200, {"success": True})
    call("GET", f"/api/subscription/status?machine={ID}", key=laptop.secret)
    row = Machine.objects.get()
    assert (row.name, row.os, row.platform, row.client_version) == ("ann-laptop", "Linux 6.1.0", "linux-amd64", "0.1.0")
    assert machines.plugins_of(row)[0].missing_features == ["api_logging"]
    call("POST", "/api/machines", {**REPORT, "plugins": [], "unknown": 1}, key=laptop.secret)
    assert Machine.objects.get().plugins == []


def test_what_it_takes_out_is_kept_and_an_older_client_says_nothing(call: Call, laptop: Issued) -> None:
    told = {"enabled": False, "patterns": 2, "allowed": 1, "redacted": {"github": 3, "x\x1b": 1}}
    assert call("POST", "/api/machines", {**REPORT, "redaction": told}, key=laptop.secret)[0] == 200
    found = machines.redaction_of(Machine.objects.get())
    assert found is not None
    assert (found.enabled, found.patterns, found.allowed, found.redacted) == (False, 2, 1, {"github": 3, "x�": 1})
    assert call("POST", "/api/machines", REPORT, key=laptop.secret)[0] == 200
    assert machines.redaction_of(Machine.objects.get()) is None
    for wrong in ({"redacted": {"github": -1}}, {"patterns": "many"}, {"redacted": {"x" * 81: 1}}):
        assert call("POST", "/api/machines", {**REPORT, "redaction": wrong}, key=laptop.secret)[0] == 400


def test_two_customers_may_have_the_same_id_and_see_their_own(acme: Customer, globex: Customer) -> None:
    for customer in (acme, globex):
        machines.report(principal_of(customer), MachineReport(ID, name=customer.name), at=now())
    assert [row.name for row in machines.listed(acme)] == ["Acme"]
    theirs = machines.listed(globex).get()
    with pytest.raises(ApiError, match="no such machine"):
        machines.get(acme, theirs.public_id)
    with pytest.raises(ApiError, match="no such machine"):
        machines.remove(acme, theirs.public_id, at=now())
    with pytest.raises(ApiError, match="no such machine"):
        machines.get(acme, "mac_\0")


@pytest.mark.parametrize(
    "changed",
    [
        {"machine": ""},
        {"machine": "m" * 129},
        {"machine": "a\0b"},
        {"name": "n" * 81},
        {"name": None},
        {"plugins": [PLUGIN] * 501},
        {"plugins": ["slow-tools"]},
        {"plugins": [{**PLUGIN, "missing_features": ["f"] * 51}]},
    ],
)
def test_a_report_that_is_none_is_refused_with_its_place(call: Call, laptop: Issued, changed: dict[str, Any]) -> None:
    status, answer = call("POST", "/api/machines", {**REPORT, **changed}, key=laptop.secret)
    assert (status, answer["error"]["code"]) == (400, "invalid_request")
    assert not Machine.objects.exists()


def test_nobody_reports_without_a_key(call: Call, db: None) -> None:
    assert call("POST", "/api/machines", REPORT)[0] == 401


def test_what_moves_a_cursor_or_no_column_holds_is_kept_as_a_mark(acme: Customer) -> None:
    hostile = "a\0b\u202e\x1b[2J"
    plugin = PluginReport(hostile, hostile, hostile, hostile, [hostile])
    try:
        machines.report(principal_of(acme), MachineReport(ID, name=hostile, plugins=[plugin]), at=now())
    except (ValueError, DataError) as error:  # PostgreSQL refuses U+0000
        pytest.fail(str(error))
    row = Machine.objects.get()
    assert row.name == "a�b��[2J"
    assert row.plugins[0]["state"] == "a�b��[2J"


def test_a_client_that_makes_an_id_for_every_request_keeps_the_newest(
    acme: Customer, moment: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machines, "MAX_MACHINES", 3)
    for number in range(6):
        at = moment + timedelta(minutes=number)
        machines.seen(principal_of(acme), f"m{number}", "km-client/0.1.0", at=at)
    assert [row.machine for row in machines.listed(acme)] == ["m5", "m4", "m3"]
    assert {row.client_version for row in machines.listed(acme)} == {"0.1.0"}


def test_where_a_plugin_is_installed_is_one_question(acme: Customer, django_assert_num_queries: Any) -> None:
    for number in range(5):
        told = MachineReport(f"m{number}", plugins=[PluginReport("slow-tools", state="running")])
        machines.report(principal_of(acme), told, at=now())
    with django_assert_num_queries(1):
        found = machines.installations(acme)
    assert len(found["slow-tools"]) == 5


def test_where_one_plugin_is_installed_is_told_of_the_machines_seen_last(
    acme: Customer, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr(machines, "MOST_SHOWN", 3)
    for number in range(5):
        other = PluginReport("other", state="running")
        told = [other, PluginReport("slow-tools", state="disabled" if number == 0 else "running", reason=f"r{number}")]
        moment = now() + timedelta(minutes=number)
        machines.report(principal_of(acme), MachineReport(f"m{number}", plugins=told), at=moment)
    with django_assert_num_queries(2):
        where = machines.whereabouts(acme, "slow-tools")
    assert where.states == {"running": 4, "disabled": 1}
    assert [(each.machine.machine, each.plugin.reason) for each in where.shown] == [
        ("m4", "r4"),
        ("m3", "r3"),
        ("m2", "r2"),
    ]
    assert not machines.whereabouts(acme, "slow").shown


def test_removing_a_machine_revokes_what_can_be_and_says_so(
    call: Call, laptop: Issued, acme: Customer, django_capture_on_commit_callbacks: Any
) -> None:
    call("POST", "/api/machines", REPORT, key=laptop.secret)
    row = Machine.objects.get()
    machines.remove(acme, row.public_id, at=now(), actor="user:ann")
    assert ApiKey.objects.get().revoked_at is None
    call("GET", f"/api/subscription/status?machine={ID}", key=laptop.secret)
    again = Machine.objects.get()  # its key works, so it is back
    with django_capture_on_commit_callbacks(execute=True):
        machines.remove(acme, again.public_id, at=now(), actor="user:ann", revoke_key=True)
    assert ApiKey.objects.get().revoked_at is not None
    assert call("GET", f"/api/subscription/status?machine={ID}", key=laptop.secret)[0] == 401
    assert not Machine.objects.exists()
    details = [entry.details["key_revoked"] for entry in AuditEntry.objects.filter(action="machine.removed")]
    assert details == [True, False]


def test_whom_a_shared_key_would_stop_too_is_known(acme: Customer, globex: Customer) -> None:
    for customer, machine, key in (
        (acme, "m1", "key_1"),
        (acme, "m2", "key_1"),
        (acme, "m3", "key_2"),
        (globex, "m4", "key_1"),
    ):
        machines.report(principal_of(customer, key), MachineReport(machine), at=now())
    first = Machine.objects.get(machine="m1")
    assert [row.machine for row in machines.others_with_its_key(first)] == ["m2"]
