"""A login by code: one key for one confirmation, never twice, never late, and no code that is kept can be used."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from core.errors import Forbidden, InvalidRequest
from customers import accounts, api_keys, device_codes, machines, revocation
from customers.device_codes import GOOD_FOR, INTERVAL_SECONDS, Asking, Codes
from customers.errors import PollRefused, UnknownUserCode
from customers.models import ApiKey, AuditEntry, Customer, DeviceGrant, Machine, Member

PASSWORD = "correct horse battery staple"
ID = "9f2c61d09f2c61d09f2c61d09f2c61d0"
ASKING = Asking(client="km-client 1.0.0", machine=ID, name="ann-laptop", os="Linux 6.1")
TURN = timedelta(seconds=INTERVAL_SECONDS)


@pytest.fixture
def ann(acme: Customer, moment: datetime) -> Member:
    return accounts.add_member(acme, "ann@acme.example", PASSWORD, "member", at=moment)


@pytest.fixture
def codes(db: None, moment: datetime) -> Codes:
    return device_codes.start(ASKING, address="203.0.113.7", at=moment)


def refused(code: str, at: datetime) -> str:
    with pytest.raises(PollRefused) as error:
        device_codes.redeem(code, at=at)
    return error.value.word


def approve(codes: Codes, by: Member, at: datetime, *, approved: bool = True) -> None:
    device_codes.decide(device_codes.waiting(codes.user_code, at=at), approved=approved, by=by, at=at)


def test_a_confirmed_login_gives_the_machine_a_key_of_its_own(codes: Codes, ann: Member, moment: datetime) -> None:
    assert refused(codes.device_code, moment) == "authorization_pending"
    approve(codes, ann, moment)
    issued = device_codes.redeem(codes.device_code, at=moment + TURN)
    assert issued.secret.startswith("km_inst_")
    assert api_keys.find(issued.secret).customer == ann.customer
    assert issued.key.name == "ann-laptop" and issued.key.scopes == ["events:write", "events:read"]
    machine = Machine.objects.get()
    assert (machine.machine, machine.name, machine.key_id) == (ID, "ann-laptop", issued.key.public_id)
    said = AuditEntry.objects.get(action="device_login.approved")
    assert (said.actor, said.details["address"]) == ("user:ann@acme.example", "203.0.113.7")


def test_a_login_is_redeemed_once(codes: Codes, ann: Member, moment: datetime) -> None:
    approve(codes, ann, moment)
    device_codes.redeem(codes.device_code, at=moment)
    assert refused(codes.device_code, moment + TURN) == "expired_token"
    assert ApiKey.objects.count() == 1


def test_a_login_is_over_after_ten_minutes_confirmed_or_not(codes: Codes, ann: Member, moment: datetime) -> None:
    approve(codes, ann, moment)
    late = moment + GOOD_FOR
    assert refused(codes.device_code, late) == "expired_token"
    another = device_codes.start(ASKING, address="", at=moment)
    with pytest.raises(UnknownUserCode):
        device_codes.waiting(another.user_code, at=late)
    grant = DeviceGrant.objects.get(pk=another.grant.pk)
    with pytest.raises(UnknownUserCode):
        device_codes.decide(grant, approved=True, by=ann, at=late)
    assert not ApiKey.objects.exists()


def test_a_refused_login_gets_nothing(codes: Codes, ann: Member, moment: datetime) -> None:
    approve(codes, ann, moment, approved=False)
    assert refused(codes.device_code, moment) == "access_denied"
    with pytest.raises(UnknownUserCode):  # decided is decided
        device_codes.waiting(codes.user_code, at=moment)


def test_polling_too_often_is_told_to_slow_down_for_good(codes: Codes, moment: datetime) -> None:
    assert refused(codes.device_code, moment) == "authorization_pending"
    with pytest.raises(PollRefused) as error:
        device_codes.redeem(codes.device_code, at=moment + timedelta(seconds=1))
    assert (error.value.word, error.value.interval) == ("slow_down", 2 * INTERVAL_SECONDS)
    early = moment + timedelta(seconds=1 + INTERVAL_SECONDS)  # what was enough before is not any more
    assert refused(codes.device_code, early) == "slow_down"
    patient = early + timedelta(seconds=3 * INTERVAL_SECONDS)
    assert refused(codes.device_code, patient) == "authorization_pending"


def test_an_eager_poll_does_not_get_the_key_either(codes: Codes, ann: Member, moment: datetime) -> None:
    refused(codes.device_code, moment)
    approve(codes, ann, moment)
    assert refused(codes.device_code, moment + timedelta(seconds=1)) == "slow_down"
    assert device_codes.redeem(codes.device_code, at=moment + timedelta(seconds=12)).secret


def test_no_code_is_stored(codes: Codes) -> None:
    stored = str(DeviceGrant.objects.values())
    for code in (codes.device_code, codes.user_code, codes.user_code.replace("-", "")):
        assert code not in stored


@pytest.mark.parametrize(
    "spelled", [str.lower, lambda code: code.replace("-", ""), lambda code: f" {code[:4]} {code[5:]} "]
)
def test_a_code_may_be_typed_as_people_type(codes: Codes, moment: datetime, spelled: Callable[[str], str]) -> None:
    assert device_codes.waiting(spelled(codes.user_code), at=moment) == codes.grant


@pytest.mark.parametrize("wrong", ["", "AEIO-UAEI", "BBBB-BBBB", "x" * 5000, "WDJB\0MJHT", "ＷＤＪＢＭＪＨＴ"])
def test_a_code_that_is_none_finds_nothing(codes: Codes, moment: datetime, wrong: str) -> None:
    with pytest.raises(UnknownUserCode):
        device_codes.waiting(wrong, at=moment)


def test_a_viewer_lets_nothing_in(codes: Codes, acme: Customer, moment: datetime) -> None:
    viewer = accounts.add_member(acme, "vic@acme.example", PASSWORD, "viewer", at=moment)
    with pytest.raises(Forbidden):
        approve(codes, viewer, moment)
    assert refused(codes.device_code, moment) == "authorization_pending"


def test_without_room_for_a_key_it_waits_until_there_is(
    codes: Codes, ann: Member, acme: Customer, moment: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "MAX_LIVE_KEYS", 1)
    other = api_keys.issue(acme, "another", at=moment)
    with pytest.raises(InvalidRequest, match="1 keys in use"):
        approve(codes, ann, moment)
    assert refused(codes.device_code, moment) == "authorization_pending"
    api_keys.revoke(other.key, at=moment)
    approve(codes, ann, moment)
    assert device_codes.redeem(codes.device_code, at=moment + TURN).secret
    again = device_codes.start(ASKING, address="", at=moment)
    approve(again, ann, moment)  # the room of its own login before, which ends
    assert device_codes.redeem(again.device_code, at=moment).secret


def test_for_a_suspended_customer_nothing_is_let_in(
    codes: Codes, ann: Member, acme: Customer, moment: datetime
) -> None:
    revocation.suspend(acme, at=moment)
    ann.refresh_from_db()
    with pytest.raises(Forbidden, match="suspended"):
        approve(codes, ann, moment)
    approve(codes, ann, moment, approved=False)
    assert refused(codes.device_code, moment) == "access_denied"


@pytest.mark.parametrize("scope", ["keys:manage", "admin", "events:write keys:manage"])
def test_a_login_cannot_have_rights_over_keys(db: None, moment: datetime, scope: str) -> None:
    with pytest.raises(InvalidRequest):
        device_codes.start(Asking(scopes=scope.split()), address="", at=moment)


def test_logging_in_again_ends_the_login_before(codes: Codes, ann: Member, moment: datetime) -> None:
    approve(codes, ann, moment)
    first = device_codes.redeem(codes.device_code, at=moment)
    again = device_codes.start(ASKING, address="", at=moment)
    approve(again, ann, moment)
    second = device_codes.redeem(again.device_code, at=moment)
    first.key.refresh_from_db()
    assert first.key.revoked_at == moment
    assert Machine.objects.get().key_id == second.key.public_id


def test_logging_in_spares_a_key_that_was_issued_by_hand(
    codes: Codes, ann: Member, acme: Customer, moment: datetime
) -> None:
    shared = api_keys.issue(acme, "fleet", at=moment)
    machines.logged_in(shared.key, ID, name="ann-laptop", os="", at=moment)
    approve(codes, ann, moment)
    device_codes.redeem(codes.device_code, at=moment)
    shared.key.refresh_from_db()
    assert shared.key.revoked_at is None


def test_the_machine_of_somebody_else_keeps_its_login(
    codes: Codes, ann: Member, globex: Customer, moment: datetime
) -> None:
    theirs = api_keys.issue(globex, "laptop", at=moment, kind="inst")
    machines.logged_in(theirs.key, ID, name="", os="", at=moment)
    approve(codes, ann, moment)
    device_codes.redeem(codes.device_code, at=moment)
    theirs.key.refresh_from_db()
    assert theirs.key.revoked_at is None


def test_a_machines_words_are_made_harmless(db: None, moment: datetime) -> None:
    asking = Asking(client="x\x1b[31m", machine="m" * 500, name="\u202eevil\n" + "y" * 500, os="\0")
    grant = device_codes.start(asking, address="::1", at=moment).grant
    assert (grant.client, grant.machine, grant.os) == ("x�[31m", "", "�")
    assert len(grant.name) == 80 and grant.name.isprintable()


def test_ended_logins_are_forgotten_after_a_day(codes: Codes, moment: datetime) -> None:
    device_codes.forget(at=moment + timedelta(days=1))
    assert DeviceGrant.objects.exists()
    device_codes.forget(at=moment + timedelta(days=1) + GOOD_FOR + timedelta(seconds=1))
    assert not DeviceGrant.objects.exists()
