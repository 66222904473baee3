"""Where a customer's incidents are told: members by e-mail, webhooks; every act is in the audit log.

    destination, secret = add_webhook(customer, "Pager", "https://hooks.example.org/km", at=moment, actor="user:ann")
    secret = rotate(destination, at=moment, actor="user:ann")      both secrets sign for a day more

A secret is given out once, by these two functions; it is stored sealed (`alerts.webhook_secrets`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from alerts import addresses, outbox, wakeup, webhook_secrets, webhooks
from alerts.errors import NotPossible, TooMany, UnknownDestination
from alerts.models import Delivery, Destination, new_destination_id
from core.errors import InvalidRequest
from core.rows import by_public_id
from customers import audit
from customers.models import Customer, Member

MAX_DESTINATIONS = 20  # of a customer
MAX_ADDRESSEES = 50  # of one destination
MAX_NAME_CHARACTERS = 80
OVERLAP = timedelta(days=1)  # to give a receiver its new secret without losing a message
MAX_ASKED_AN_HOUR = 20  # of a customer, tests and sent again: a form must not be a machine for requests


def listed(customer: Customer) -> QuerySet[Destination]:
    """The destinations of `customer`, the oldest first, with whom they write to."""
    return offered(customer).prefetch_related("members__user")


def offered(customer: Customer) -> QuerySet[Destination]:
    """Those of `listed`, without whom they write to: for a form to choose from."""
    return Destination.objects.filter(customer=customer).order_by("id")


def get(customer: Customer, public_id: str) -> Destination:
    """One destination of `customer`. Raises `UnknownDestination`, also for somebody else's."""
    found = by_public_id(listed(customer), public_id)
    if found is None:
        raise UnknownDestination("there is no such destination", "the list shows those there are")
    return found


def add_email(customer: Customer, name: str, members: Sequence[int], *, at: datetime, actor: str) -> Destination:
    """A destination that writes to `members`. Raises `InvalidRequest`, `TooMany`."""
    chosen = list(Member.objects.filter(customer=customer, pk__in=members[: MAX_ADDRESSEES + 1]))
    if not 1 <= len(chosen) <= MAX_ADDRESSEES or len(chosen) != len(set(members)):
        raise InvalidRequest(f"choose 1 to {MAX_ADDRESSEES} members", "they are those of your organisation")
    with transaction.atomic():
        made = _add(customer, Destination.Channel.EMAIL, name, at)
        made.members.set(chosen)
        emails = [each.user.get_username() for each in chosen]
        _record("alert_destination.added", made, at, actor, channel=made.channel, name=made.name, members=emails)
    return made


def add_webhook(customer: Customer, name: str, url: str, *, at: datetime, actor: str) -> tuple[Destination, str]:
    """A webhook, and its secret, which is not told again. Raises `InvalidRequest`, `TooMany`."""
    addresses.check(url, settings.WEBHOOK_PRIVATE_NETWORKS)
    secret, public_id = webhooks.new_secret(), new_destination_id()
    kept = webhook_secrets.sealed(secret, public_id)
    with transaction.atomic():
        made = _add(customer, Destination.Channel.WEBHOOK, name, at, url=url, secret=kept, public_id=public_id)
        _record("alert_destination.added", made, at, actor, channel=made.channel, name=made.name, url=url)
    return made, secret


def rotate(destination: Destination, *, at: datetime, actor: str) -> str:
    """A new secret. The one before it signs too until `OVERLAP` is over. Raises `NotPossible`."""
    if destination.channel != Destination.Channel.WEBHOOK:
        raise NotPossible("only a webhook has a secret", "nothing is to be done")
    secret = webhooks.new_secret()
    kept = webhook_secrets.sealed(secret, destination.public_id)
    with transaction.atomic():
        locked = Destination.objects.select_for_update().get(pk=destination.pk)
        locked.previous_secret, locked.previous_until, locked.secret = locked.secret, at + OVERLAP, kept
        locked.save(update_fields=["secret", "previous_secret", "previous_until"])
        _record("alert_destination.rotated", destination, at, actor, both_until=(at + OVERLAP).isoformat())
    return secret


def switch(destination: Destination, *, on: bool, at: datetime, actor: str) -> None:
    """Tell a destination, or no more: what waits for it then fails."""
    if on:
        with transaction.atomic():
            found = Destination.objects.filter(pk=destination.pk).exclude(disabled_at=None)
            if found.update(disabled_at=None, disabled_because=""):
                _record("alert_destination.switched_on", destination, at, actor)
    else:
        give_up(destination, "it was switched off", at=at, actor=actor)


def give_up(destination: Destination, why: str, *, at: datetime, actor: str = audit.SYSTEM) -> None:
    """Tell a destination nothing more."""
    with transaction.atomic():
        found = Destination.objects.filter(pk=destination.pk, disabled_at=None)
        if found.update(disabled_at=at, disabled_because=why):
            _record("alert_destination.switched_off", destination, at, actor, because=why)
        waiting = Delivery.objects.filter(destination=destination, state=Delivery.State.WAITING)
        waiting.update(state=Delivery.State.FAILED, finished_at=at)


def delete(destination: Destination, *, at: datetime, actor: str) -> None:
    """With its deliveries and their log."""
    with transaction.atomic():
        _record("alert_destination.deleted", destination, at, actor, name=destination.name)
        destination.delete()


def test(destination: Destination, *, at: datetime, actor: str) -> None:
    """Have it told that this is a test. Raises `NotPossible`, `TooMany`."""
    with transaction.atomic():
        _check_may_send(destination, at)
        if not outbox.tell_test(destination, at=at):
            raise NotPossible("nobody of this destination has an e-mail address", "choose other members")
        _record("alert_destination.tested", destination, at, actor)


def send_again(delivery: Delivery, *, at: datetime, actor: str) -> None:
    """Try a finished delivery anew, under the same id. Raises `NotPossible`, `TooMany`."""
    with transaction.atomic():
        _check_may_send(delivery.destination, at)
        ended = Delivery.objects.filter(pk=delivery.pk).exclude(state=Delivery.State.WAITING)
        give_up_at = at + outbox.TRIED_FOR
        again = {"state": Delivery.State.WAITING, "next_at": at, "give_up_at": give_up_at, "asked_at": at}
        if not ended.update(tries=0, finished_at=None, **again):
            raise NotPossible("this message waits to be sent already", "its next try comes by itself")
        _record("alert_delivery.sent_again", delivery.destination, at, actor, message=delivery.public_id)
        wakeup.after_commit()


def _add(customer: Customer, channel: str, name: str, at: datetime, **more: str) -> Destination:
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME_CHARACTERS or not name.isprintable():
        raise InvalidRequest(f"a name has 1 to {MAX_NAME_CHARACTERS} characters", "give a shorter one")
    Customer.objects.select_for_update().get(pk=customer.pk)  # two at once count one after the other
    if Destination.objects.filter(customer=customer).count() >= MAX_DESTINATIONS:
        raise TooMany(f"there are {MAX_DESTINATIONS} destinations already", "delete one that nobody needs")
    return Destination.objects.create(customer=customer, channel=channel, name=name, created_at=at, **more)


def _check_may_send(destination: Destination, at: datetime) -> None:
    if destination.disabled_at is not None:
        raise NotPossible("this destination is switched off", "switch it on first")
    asked = Delivery.objects.filter(customer_id=destination.customer_id, asked_at__gt=at - timedelta(hours=1))
    if asked.count() >= MAX_ASKED_AN_HOUR:
        raise TooMany(f"{MAX_ASKED_AN_HOUR} messages were asked for within an hour", "wait a while")


def _record(action: str, destination: Destination, at: datetime, actor: str, **details: Any) -> None:
    subject = f"alert_destination:{destination.public_id}"
    audit.record(action, subject=subject, at=at, actor=actor, customer=destination.customer, **details)
