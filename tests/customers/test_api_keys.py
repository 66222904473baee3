"""Keys: recognised by a keyed hash, refused by cause, rotated with an overlap, revoked at once, never readable."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from km_protocol import api_keys as key_format

from core.errors import InvalidRequest
from customers import api_keys
from customers.api_keys import Issued
from customers.errors import ExpiredApiKey, KeyNotUsable, MalformedApiKey, RevokedApiKey, UnknownApiKey, UnknownKeyId
from customers.models import ApiKey, AuditEntry, Customer

HOUR = timedelta(hours=1)


def usable(key: ApiKey, at: datetime) -> bool:
    try:
        api_keys.check_usable(ApiKey.objects.get(pk=key.pk), at=at)
    except (ExpiredApiKey, RevokedApiKey):
        return False
    return True


def test_an_issued_key_is_well_formed_and_found_again(issued: Issued, acme: Customer) -> None:
    key_format.parse(issued.secret)
    found = api_keys.find(issued.secret)
    assert (found.pk, found.customer, found.prefix) == (issued.key.pk, acme, issued.secret[:12])


def test_the_key_itself_is_nowhere_in_the_database(issued: Issued, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("dumpdata", "customers")
    dump = capsys.readouterr().out
    assert issued.secret[:12] in dump
    assert issued.secret[12:] not in dump


def test_a_stolen_database_without_the_pepper_recognises_nothing(issued: Issued) -> None:
    with (
        override_settings(API_KEY_PEPPER=b"another pepper, as long as the first one was"),
        pytest.raises(UnknownApiKey),
    ):
        api_keys.find(issued.secret)


def test_a_key_is_found_by_one_indexed_lookup(issued: Issued) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        api_keys.find(issued.secret)
    assert len(queries) == 1
    if connection.vendor != "sqlite":
        return  # the plan below is SQLite's; the index is the same everywhere
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN QUERY PLAN " + queries[0]["sql"])
        plan = " ".join(str(row[3]) for row in cursor.fetchall())
    assert "USING INDEX" in plan and "(digest=?)" in plan
    assert "SCAN" not in plan


@pytest.mark.parametrize("text", ["", "km_live_short", "Bearer x", "km_live_" + "A" * 36, "\0", "ключ"])
def test_what_is_not_a_key_is_malformed_without_asking_the_database(text: str) -> None:
    with pytest.raises(MalformedApiKey):
        api_keys.find(text)


def test_a_well_formed_key_of_nobody_is_unknown(db: None) -> None:
    stranger = key_format.compose("live", "A" * 30)
    with pytest.raises(UnknownApiKey) as refused:
        api_keys.find(stranger)
    assert stranger not in refused.value.message


def test_a_key_expires_at_its_moment_and_not_before(acme: Customer, moment: datetime) -> None:
    key = api_keys.issue(acme, "ci", at=moment, kind="ci", expires_at=moment + HOUR).key
    assert usable(key, moment + HOUR - timedelta(seconds=1))
    with pytest.raises(ExpiredApiKey, match="expired"):
        api_keys.check_usable(key, at=moment + HOUR)


def test_a_rotated_key_works_for_72_hours_beside_its_replacement(issued: Issued, moment: datetime) -> None:
    replacement = api_keys.rotate(issued.key, at=moment, actor="user:ann")
    assert replacement.secret != issued.secret
    assert (replacement.key.name, replacement.key.scopes) == (issued.key.name, issued.key.scopes)
    assert usable(issued.key, moment + 72 * HOUR - timedelta(seconds=1))
    assert not usable(issued.key, moment + 72 * HOUR)
    assert usable(replacement.key, moment + 10_000 * HOUR)
    assert api_keys.find(issued.secret).replaced_by == replacement.key


def test_rotation_does_not_prolong_a_key_that_would_end_sooner(acme: Customer, moment: datetime) -> None:
    issued = api_keys.issue(acme, "short", at=moment, expires_at=moment + HOUR)
    replacement = api_keys.rotate(issued.key, at=moment)
    assert not usable(issued.key, moment + HOUR)
    assert not usable(replacement.key, moment + HOUR)


def test_a_key_is_rotated_once(issued: Issued, moment: datetime) -> None:
    api_keys.rotate(issued.key, at=moment)
    with pytest.raises(KeyNotUsable):
        api_keys.rotate(issued.key, at=moment)
    assert ApiKey.objects.count() == 2


def test_neither_a_revoked_nor_an_expired_key_is_rotated_into_a_working_one(acme: Customer, moment: datetime) -> None:
    revoked = api_keys.issue(acme, "revoked", at=moment).key
    api_keys.revoke(revoked, at=moment)
    expired = api_keys.issue(acme, "expired", at=moment, expires_at=moment + HOUR).key
    for key in (revoked, expired):
        with pytest.raises(KeyNotUsable):
            api_keys.rotate(key, at=moment + HOUR)
    assert api_keys.live(acme, at=moment + HOUR).count() == 0


def test_a_revoked_key_is_refused_for_good(issued: Issued, moment: datetime) -> None:
    assert api_keys.revoke(issued.key, at=moment, actor="user:ann", reason="left the company")
    assert not api_keys.revoke(issued.key, at=moment + HOUR)
    with pytest.raises(RevokedApiKey):
        api_keys.check_usable(api_keys.find(issued.secret), at=moment)
    entry = AuditEntry.objects.get(action="api_key.revoked")
    assert (entry.actor, entry.details, entry.at) == ("user:ann", {"reason": "left the company"}, moment)


def test_last_used_is_written_at_most_once_a_minute(issued: Issued, moment: datetime) -> None:
    def used(after: int) -> datetime | None:
        api_keys.touch(ApiKey.objects.get(pk=issued.key.pk), at=moment + timedelta(seconds=after))
        return ApiKey.objects.get(pk=issued.key.pk).last_used_at

    assert used(0) == moment
    assert used(59) == moment
    assert used(60) == moment + timedelta(seconds=60)


def test_of_two_processes_that_saw_an_old_use_only_one_writes(issued: Issued, moment: datetime) -> None:
    first, second = (ApiKey.objects.get(pk=issued.key.pk) for _ in range(2))
    api_keys.touch(first, at=moment + timedelta(seconds=2))
    api_keys.touch(second, at=moment + timedelta(seconds=1))
    assert ApiKey.objects.get(pk=issued.key.pk).last_used_at == moment + timedelta(seconds=2)


def test_the_key_of_another_customer_is_not_found_by_its_id(issued: Issued, globex: Customer, acme: Customer) -> None:
    assert api_keys.get(acme, issued.key.public_id) == issued.key
    for public_id in (issued.key.public_id, "key_nobody", "\0"):
        with pytest.raises(UnknownKeyId):
            api_keys.get(globex, public_id)


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"name": "line\nbreak"}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"scopes": ["events:delete"]}, "events:delete"),
        ({"scopes": []}, "scopes"),
    ],
)
def test_a_bad_request_for_a_key_is_refused_by_name(
    acme: Customer, moment: datetime, columns: dict[str, object], named: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        api_keys.issue(**{"customer": acme, "name": "laptop", "at": moment} | columns)  # type: ignore[arg-type]
    assert named in refused.value.message
    assert ApiKey.objects.count() == 0


def test_a_key_that_has_already_expired_is_not_issued(acme: Customer, moment: datetime) -> None:
    with pytest.raises(InvalidRequest, match="past"):
        api_keys.issue(acme, "late", at=moment, expires_at=moment)


def test_scopes_are_stored_once_each_and_in_order(acme: Customer, moment: datetime) -> None:
    key = api_keys.issue(acme, "all", at=moment, scopes=["keys:manage", "events:read", "keys:manage"]).key
    assert key.scopes == ["events:read", "keys:manage"]


def test_a_fleet_has_a_limit_that_revoking_frees_and_rotation_does_not_need(
    acme: Customer, moment: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "MAX_LIVE_KEYS", 2)
    first, _ = (api_keys.issue(acme, "fleet", at=moment).key for _ in range(2))
    with pytest.raises(InvalidRequest, match="2 keys"):
        api_keys.issue(acme, "one more", at=moment)
    api_keys.rotate(first, at=moment)
    api_keys.revoke(first, at=moment)
    with pytest.raises(InvalidRequest, match="2 keys"):
        api_keys.issue(acme, "one more", at=moment)
