"""Logins by code decided and redeemed at the same moment, on both databases: one decision, one key."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from core.clock import now
from customers import accounts, api_keys, device_codes
from customers.api_keys import Issued
from customers.device_codes import Codes
from customers.errors import PollRefused
from customers.models import ApiKey, AuditEntry, DeviceGrant, Machine, Member
from tests.customers.test_device_codes import ASKING, PASSWORD, approve
from tests.events.databases import KINDS, real_database


@pytest.fixture(scope="module", params=KINDS)
def database(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    with django_db_blocker.unblock(), real_database(request.param):
        yield request.param


@pytest.fixture
def owner(database: str) -> Member:
    customer = accounts.create_customer("Acme", "pro", at=now())
    return accounts.add_member(customer, f"{customer.public_id}@acme.example", PASSWORD, "owner", at=now())


def polled_at_once(codes: list[Codes]) -> tuple[list[Issued], list[str]]:
    """The keys that came out, and the words that were said instead."""
    start = threading.Barrier(len(codes))
    keys: list[Issued] = []
    words: list[str] = []

    def poll(device_code: str) -> None:
        start.wait()
        try:
            keys.append(device_codes.redeem(device_code, at=now()))
        except PollRefused as error:
            words.append(error.word)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=poll, args=[each.device_code]) for each in codes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return keys, words


def test_eight_polls_at_once_give_one_key(owner: Member) -> None:
    codes = device_codes.start(ASKING, address="", at=now())
    approve(codes, owner, now())
    keys, words = polled_at_once([codes] * 8)
    assert (len(keys), words) == (1, ["expired_token"] * 7)
    assert ApiKey.objects.filter(customer=owner.customer).count() == 1


def test_yes_and_no_at_once_are_one_decision_that_both_are_told(owner: Member) -> None:
    """Two tabs of one person, each with another button."""
    codes = device_codes.start(ASKING, address="", at=now())
    start, told = threading.Barrier(2), list[bool]()

    def press(approved: bool) -> None:
        grant = device_codes.waiting(codes.user_code, at=now())
        start.wait()
        device_codes.decide(grant, approved=approved, by=owner, at=now())
        told.append(grant.approved_at is not None)
        connections.close_all()

    threads = [threading.Thread(target=press, args=[approved]) for approved in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    row = DeviceGrant.objects.get(pk=codes.grant.pk)
    assert (row.approved_at is None) != (row.denied_at is None)
    assert told == [row.approved_at is not None] * 2
    assert AuditEntry.objects.filter(subject=f"device_login:{row.public_id}").count() == 1


def test_four_logins_of_one_machine_at_once_leave_it_one_key(owner: Member) -> None:
    logins = [device_codes.start(ASKING, address="", at=now()) for _ in range(4)]
    for each in logins:
        approve(each, owner, now())
    keys, words = polled_at_once(logins)
    assert (len(keys), words) == (4, [])
    live = api_keys.live(owner.customer, at=now())
    assert [key.public_id for key in live] == [Machine.objects.get(customer=owner.customer).key_id]
