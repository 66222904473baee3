"""Logging a machine in by a code that a person confirms in a browser (RFC 8628): the rules.

    codes = start(Asking(client="km-client", machine="9f2c61…", name="ann-laptop"), address="203.0.113.7", at=moment)
    codes.device_code            → 43 characters; the machine polls with it
    codes.user_code              → "WDJB-MJHT"; a person types it, or finds it in the link
    grant = waiting("wdjbmjht", at=moment)          what is shown to the person: which machine, from where
    decide(grant, approved=True, by=member, at=moment)
    redeem(codes.device_code, at=moment)            → Issued, once; before and after that it raises what to answer

Codes are good for ten minutes and stored as hashes. A key comes out once: whoever polls second gets nothing, and
neither does whoever polls after the end. The key is of the kind `inst`, one for a machine: the one it had is revoked.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from core.errors import Forbidden, InvalidRequest
from customers import api_keys, audit, machines, user_codes
from customers.api_keys import Issued
from customers.errors import PollRefused, UnknownUserCode
from customers.members import actor_of
from customers.models import ApiKey, Customer, DeviceGrant, Machine, Member
from customers.permissions import Permission, permissions_of
from customers.scopes import DEFAULT_SCOPES, Scope, ordered

GOOD_FOR = timedelta(minutes=10)
OVER = "expired_token"
"""Also what an unknown code is told, and one that was redeemed: polling it tells nobody which it was."""
NOT_YOURS = "invalid_grant"
DENIED, TOO_FAST = "access_denied", "slow_down"

INTERVAL_SECONDS = 5  # RFC 8628 §3.2
SLOWER_BY_SECONDS = 5  # §3.5: this much for each poll that came too early, and all after it
MAX_INTERVAL_SECONDS = 60
EARLY = timedelta(milliseconds=500)  # what two clocks and a network may take off an interval that was kept
KEY_LIFETIME = timedelta(days=365)
ASKABLE = (*DEFAULT_SCOPES, Scope.PLUGINS_SUBMIT)
"""What a login may ask for: it cannot make further keys."""

FORGET_AFTER = timedelta(days=1)
FORGET_AT_ONCE = 1_000
MAX_TEXT = 80


class Asking(NamedTuple):
    """What a machine says of itself. It is shown to a person, and decides nothing."""

    client: str = ""
    machine: str = ""
    name: str = ""
    os: str = ""
    scopes: Sequence[str] = DEFAULT_SCOPES


class Codes(NamedTuple):
    """A new login's two codes, this once."""

    grant: DeviceGrant
    device_code: str
    user_code: str


def start(asking: Asking, *, address: str, at: datetime) -> Codes:
    """Begin a login. Raises `InvalidRequest` on a scope that a login cannot have."""
    try:
        scopes = ordered(asking.scopes)
    except ValueError:
        scopes = []
    if not scopes or not set(scopes) <= set(ASKABLE):
        raise InvalidRequest("a login cannot have this scope", f"ask for some of {', '.join(ASKABLE)}, or for none")
    shown = {
        "client": _shown(asking.client),
        "name": _shown(asking.name),
        "os": _shown(asking.os),
        "machine": asking.machine if machines.is_machine_id(asking.machine) else "",
        "address": address[:45],
        "scopes": scopes,
    }
    while True:
        device_code, user_code = secrets.token_urlsafe(32), user_codes.new()
        try:
            with transaction.atomic():
                grant = DeviceGrant.objects.create(
                    device_digest=_device_digest(device_code),
                    user_digest=user_codes.digest(user_code),
                    interval=INTERVAL_SECONDS,
                    created_at=at,
                    expires_at=at + GOOD_FOR,
                    **shown,
                )
        except IntegrityError:  # one in 25 billion for each login of the last day
            continue
        return Codes(grant, device_code, user_code)


def waiting(user_code: str, *, at: datetime) -> DeviceGrant:
    """The login that waits for a decision, by the code a person typed. Raises `UnknownUserCode`, whatever is wrong."""
    found = _under(user_code, at).filter(approved_at=None, denied_at=None).first()
    if found is None:
        raise UnknownUserCode(
            "no login waits under this code", "read it again on the machine; it is good for ten minutes, and once"
        )
    return found


def decided(user_code: str, *, by: Member, at: datetime) -> DeviceGrant | None:
    """The login that `by` said yes or no to a moment ago: who presses twice is told what came of it."""
    rows = _under(user_code, at).filter(Q(customer=by.customer) | Q(customer=None))
    return rows.filter(decided_by=actor_of(by)).first()


def decide(grant: DeviceGrant, *, approved: bool, by: Member, at: datetime) -> None:
    """Let the machine in for the customer of `by`, or not; `grant` is then as it was decided. Raises `UnknownUserCode`
    when it is over, `Forbidden`, and `InvalidRequest` without room for its key: it waits on, so that room can be made.
    """
    if Permission.WORK not in permissions_of(by.role):
        raise Forbidden(f"the role `{by.role}` may not log machines in", "ask an owner of your organisation")
    if approved:
        _check_room(by.customer, grant.machine, at)
    actor = actor_of(by)
    columns = {"approved_at": at, "customer": by.customer} if approved else {"denied_at": at}
    with transaction.atomic():
        still = DeviceGrant.objects.filter(pk=grant.pk, approved_at=None, denied_at=None, expires_at__gt=at)
        if still.update(decided_by=actor, **columns) != 1:
            grant.refresh_from_db()
            if grant.decided_by == actor and grant.customer in (by.customer, None):
                return  # the same person pressed twice at once
            raise UnknownUserCode("this login is over", "begin again on the machine")
        audit.record(
            "device_login.approved" if approved else "device_login.denied",
            subject=f"device_login:{grant.public_id}",
            at=at,
            actor=actor,
            customer=by.customer,
            machine=grant.name,
            address=grant.address,
            scopes=grant.scopes,
        )
    grant.refresh_from_db()


def redeem(device_code: str, *, at: datetime, client: str | None = None) -> Issued:
    """The machine's key, once it is approved. Raises `PollRefused` with the word to answer (RFC 8628 §3.5).

    A code that `client`, where it says who it is, did not ask for itself is none that it may use (RFC 6749 §5.2).
    """
    with transaction.atomic():
        rows = DeviceGrant.objects.select_for_update(of=("self",)).select_related("customer")
        grant = rows.filter(device_digest=_device_digest(device_code)).first()
        if grant is not None and client is not None and _shown(client) != grant.client:
            raise PollRefused(NOT_YOURS)
        refused = _why_not_yet(grant, at)
        if refused is None and grant is not None and grant.customer is not None:
            return _issue(grant, grant.customer, at)
    raise refused or PollRefused(OVER)


def forget(*, at: datetime) -> None:
    """Delete logins that ended a day ago, redeemed or not."""
    old = DeviceGrant.objects.filter(expires_at__lt=at - FORGET_AFTER)
    while pks := list(old.values_list("pk", flat=True)[:FORGET_AT_ONCE]):
        DeviceGrant.objects.filter(pk__in=pks).delete()


def _why_not_yet(grant: DeviceGrant | None, at: datetime) -> PollRefused | None:
    """Also keeps count of polls that come too early."""
    if grant is None or grant.redeemed_at is not None or grant.expires_at <= at:
        return PollRefused(OVER)
    if grant.denied_at is not None:
        return PollRefused(DENIED)
    is_early = grant.polled_at is not None and at < grant.polled_at + timedelta(seconds=grant.interval) - EARLY
    grant.polled_at = at
    if is_early:
        grant.interval = min(grant.interval + SLOWER_BY_SECONDS, MAX_INTERVAL_SECONDS)
    grant.save(update_fields=["polled_at", "interval"])
    if is_early:
        return PollRefused(TOO_FAST, grant.interval)
    return None if grant.approved_at is not None else PollRefused("authorization_pending", grant.interval)


def _issue(grant: DeviceGrant, customer: Customer, at: datetime) -> Issued:
    # One at a time: of two logins of one machine that are redeemed at once, the later one ends the other.
    Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
    DeviceGrant.objects.filter(pk=grant.pk).update(redeemed_at=at)
    _end_earlier_login(customer, grant.machine, by=grant.decided_by, at=at)
    issued = api_keys.issue(
        customer,
        grant.name or grant.client or "a machine",
        at=at,
        kind="inst",
        scopes=grant.scopes,
        expires_at=at + KEY_LIFETIME,
        actor=grant.decided_by,
    )
    if grant.machine:
        machines.logged_in(issued.key, grant.machine, name=grant.name, os=grant.os, at=at)
    return issued


def _end_earlier_login(customer: Customer, machine: str, *, by: str, at: datetime) -> None:
    """A machine has one login: the key that the last one gave it is of no use any more."""
    if key := _earlier_login(customer, machine):
        api_keys.revoke(key, at=at, actor=by, reason="its machine logged in again")


def _earlier_login(customer: Customer, machine: str) -> ApiKey | None:
    before = Machine.objects.filter(customer=customer, machine=machine).exclude(machine="").first()
    key = ApiKey.objects.filter(customer=customer, public_id=before.key_id).first() if before else None
    return key if key is not None and api_keys.is_login(key) else None


def _check_room(customer: Customer, machine: str, at: datetime) -> None:
    """Whoever confirms can do something about it; the machine, which would be told later, cannot."""
    if customer.suspended_at is not None:
        raise Forbidden(f"{customer.name} is suspended", "ask whoever runs this server why")
    used = api_keys.live(customer, at=at)
    if earlier := _earlier_login(customer, machine):
        used = used.exclude(pk=earlier.pk)
    if used.count() >= api_keys.MAX_LIVE_KEYS:
        raise api_keys.no_room(customer)


def _under(user_code: str, at: datetime) -> QuerySet[DeviceGrant]:
    """What is not over yet under a code as a person typed it: one row, or none."""
    code = user_codes.read(user_code)
    rows = DeviceGrant.objects.filter(expires_at__gt=at)
    return rows.none() if code is None else rows.filter(user_digest=user_codes.digest(code))


def _device_digest(code: str) -> str:
    """256 random bits need no pepper."""
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()


def _shown(text: str) -> str:
    """As one line that a page may show and PostgreSQL may store."""
    return machines.clean(text.strip())[:MAX_TEXT]
