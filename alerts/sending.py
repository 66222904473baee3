"""Sending what the outbox holds: claim some that are due, send them beside each other, write what came of it.

    send_due(clock=shared_clock.now)   → Sent(delivered=3, failed=0, put_off=1)

A delivery is claimed by moving its `next_at` on under its row's lock, for longer than a try can take: a worker killed
in the middle leaves it to be sent again, under the same id. Nobody's destinations hold up another's: of one customer
`AT_ONCE_EACH` are tried in a batch. What is not taken comes again after a growing pause, never before the `Retry-After`
that was asked for, until a day is over; 410 Gone switches the destination off (Standard Webhooks 1.0).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Window
from django.db.models.functions import RowNumber

from alerts import destinations, letters, webhook_secrets, webhooks
from alerts.models import Attempt, Delivery, Destination
from alerts.webhooks import Answer
from core import sealing

ROUND = timedelta(seconds=40)
BATCH, AT_ONCE_EACH = 32, 4
CLAIM = timedelta(minutes=2)  # a try takes ten seconds, with a slow name server half a minute
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=15), timedelta(hours=3)
JITTER = 0.2  # receivers that failed together are not asked again together
GONE = 410
USER_AGENT = "Kilometers-Webhooks/1"

_log = structlog.get_logger(__name__)
State = Delivery.State


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of the deliveries of a round."""

    delivered: int = 0
    failed: int = 0
    put_off: int = 0

    @property
    def total(self) -> int:
        return self.delivered + self.failed + self.put_off

    def __add__(self, other: Sent) -> Sent:
        return Sent(self.delivered + other.delivered, self.failed + other.failed, self.put_off + other.put_off)


def send_due(*, clock: Callable[[], datetime]) -> Sent:
    """One round, until nothing is due or its time is over."""
    total, until = Sent(), clock() + ROUND
    while (at := clock()) < until:
        batch = _claim(at)
        if not batch:
            break
        with ThreadPoolExecutor(len(batch), thread_name_prefix="alerts") as pool:  # no thread of it asks the database
            answers = list(pool.map(_try, batch, [at] * len(batch)))
        for delivery, answer in zip(batch, answers, strict=True):
            total += _settle(delivery, answer, at)
    if total.total:
        _log.info("alerts_sent", delivered=total.delivered, failed=total.failed, put_off=total.put_off)
    return total


def _claim(at: datetime) -> list[Delivery]:
    """Some that are due, the longest due first, and few of each customer."""
    place = Window(RowNumber(), partition_by=F("customer_id"), order_by=[F("next_at").asc(), F("id").asc()])
    due = Delivery.objects.filter(state=State.WAITING, next_at__lte=at)
    fair = due.annotate(place=place).filter(place__lte=AT_ONCE_EACH).order_by("next_at", "id")
    keys = list(fair.values_list("id", flat=True)[:BATCH])
    if not keys:
        return []
    with transaction.atomic():
        free = due.select_for_update(skip_locked=True, of=("self",)).filter(pk__in=keys).order_by("id")
        batch = list(free.select_related("destination"))
        Delivery.objects.filter(pk__in=[each.pk for each in batch]).update(next_at=at + CLAIM)
    return batch


def _try(delivery: Delivery, at: datetime) -> Answer:
    """Send one. Nothing is raised."""
    if delivery.destination.channel == Destination.Channel.EMAIL:
        if delivery.member_id is None:
            return Answer(error="no longer a member", is_final=True)
        return letters.post(delivery.public_id, delivery.address, delivery.subject, delivery.body)
    body, timestamp = delivery.body.encode(), int(at.timestamp())
    try:
        keys = webhook_secrets.signing_secrets(delivery.destination, at=at)
    except sealing.Unreadable as error:  # an operator's mistake: mended within the day, nothing is lost
        return Answer(error=f"its secret cannot be read: {error}")
    headers = {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": delivery.public_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": webhooks.signatures(delivery.public_id, timestamp, body, keys),
    }
    return webhooks.post(delivery.address, body, headers, settings.WEBHOOK_PRIVATE_NETWORKS)


def _settle(delivery: Delivery, answer: Answer, at: datetime) -> Sent:
    """Write the attempt, and what follows from it, unless somebody else has meanwhile."""
    with transaction.atomic():
        mine = Delivery.objects.filter(pk=delivery.pk, state=State.WAITING, next_at=at + CLAIM)
        next_at = at + pause(delivery.tries, answer.retry_after)
        if answer.is_good:
            state, result = State.DELIVERED, Sent(delivered=1)
        elif answer.status == GONE or answer.is_final or next_at >= delivery.give_up_at:
            state, result = State.FAILED, Sent(failed=1)
        else:
            state, result = State.WAITING, Sent(put_off=1)
        finished_at = None if state == State.WAITING else at
        if not mine.update(state=state, next_at=next_at, finished_at=finished_at, tries=F("tries") + 1):
            return Sent()
        Attempt.objects.create(
            delivery=delivery,
            at=at,
            status=answer.status,
            error=answer.error,
            answer=answer.text,
            duration_ms=answer.duration_ms,
        )
        if answer.status == GONE and delivery.destination.channel == Destination.Channel.WEBHOOK:
            destinations.give_up(delivery.destination, "it answered 410 Gone", at=at)
    return result


def pause(tries: int, asked: timedelta | None = None, *, chance: Callable[[], float] = random.random) -> timedelta:
    """How long to wait after the try number `tries`, counted from 0; at least what was `asked` for."""
    grown = min(LONGEST_PAUSE, FIRST_PAUSE * (1 << min(tries, 20)))
    return max(grown * (1 + JITTER * (2 * chance() - 1)), asked or timedelta())
