"""The day's quota: exact at its edge, under concurrency, and given back for what was stored already."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import time_machine
from django.db import connection

from customers import usage
from customers.models import Customer
from events import inbox, quotas
from events.errors import QuotaExceeded
from events.models import DailyUsage, InboxEntry
from tests.events.samples import Sender, an_event, answer_of, code_of, drain_everything, waiting

EVENING = datetime.now(UTC).replace(hour=23, minute=59, second=30, microsecond=0)
NEXT_DAY = EVENING + timedelta(seconds=31)


def counts() -> tuple[int, int, int, int]:
    row = DailyUsage.objects.get()
    return row.accepted, row.stored, row.duplicates, row.refused


def test_a_batch_that_just_fits_is_taken_and_one_more_event_is_not(limited: Sender) -> None:
    assert answer_of(limited.post([an_event() for _ in range(10)]))["accepted"] == 10
    response = limited.post([an_event()])
    assert code_of(response) == (429, "quota_exceeded")
    assert waiting() == 1


def test_a_batch_over_what_is_left_is_refused_whole(limited: Sender) -> None:
    answer_of(limited.post([an_event() for _ in range(8)]))
    assert code_of(limited.post([an_event() for _ in range(3)])) == (429, "quota_exceeded")
    assert answer_of(limited.post([an_event() for _ in range(2)]))["accepted"] == 2
    assert counts() == (10, 0, 0, 3)


def test_a_first_batch_over_the_limit_is_refused(limited: Sender) -> None:
    assert code_of(limited.post([an_event() for _ in range(11)])) == (429, "quota_exceeded")
    assert counts() == (0, 0, 0, 11)


def test_retry_after_points_to_the_next_utc_midnight(limited: Sender) -> None:
    with time_machine.travel(EVENING, tick=False):
        answer_of(limited.post([an_event() for _ in range(10)]))
        assert limited.post([an_event()])["Retry-After"] == "30"
    with time_machine.travel(NEXT_DAY, tick=False):
        assert answer_of(limited.post([an_event()]))["accepted"] == 1


def test_what_was_refused_costs_nothing(limited: Sender) -> None:
    answer_of(limited.post([an_event(), {"id": "bad"}]))
    assert counts()[0] == 1


def test_a_retry_that_nobody_recognised_is_given_back_by_the_drain(limited: Sender) -> None:
    events = [an_event() for _ in range(5)]
    answer_of(limited.post(events))
    answer_of(limited.post(events))
    assert counts() == (10, 0, 0, 0)
    drain_everything()
    assert counts() == (5, 5, 5, 0)
    assert answer_of(limited.post([an_event() for _ in range(5)]))["accepted"] == 5


def test_a_retry_of_stored_events_passes_when_the_quota_is_spent(limited: Sender) -> None:
    events = [an_event() for _ in range(10)]
    answer_of(limited.post(events))
    drain_everything()
    assert answer_of(limited.post(events)) == {"success": True, "accepted": 0, "duplicates": 10, "rejected": []}


def test_a_contract_without_a_limit_has_none(sender: Sender) -> None:
    assert answer_of(sender.post([an_event() for _ in range(50)]))["accepted"] == 50


def test_the_customers_room_learns_what_was_used(limited: Sender) -> None:
    answer_of(limited.post([an_event() for _ in range(4)]))
    customer = Customer.objects.get()
    assert usage.events_today(customer.pk, at=datetime.now(UTC)) == 4


@pytest.mark.django_db(transaction=True)
def test_threads_at_the_edge_get_exactly_what_is_left() -> None:
    def draft() -> inbox.Draft:
        ids = {uuid4(): index for index in range(3)}
        return inbox.Draft(7, EVENING, "events", "", b"{}", ids, left_out=[], repeats=0, limit=10)

    outcomes: list[bool] = []
    start = threading.Barrier(8)

    def send() -> None:
        start.wait()
        try:
            inbox.append(draft())
            outcomes.append(True)
        except QuotaExceeded:
            outcomes.append(False)
        finally:
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False] * 5 + [True] * 3
    assert InboxEntry.objects.count() == 3
    assert quotas.used(7, EVENING) == 9
