"""API keys: issued once, recognised ever after by a keyed hash, never readable again.

    issued = issue(customer, "Ann's laptop", at=moment)
    issued.secret   → "km_live_0Qm3…", shown to its owner now and kept nowhere
    find(secret)    → the row, by one index look-up of HMAC-SHA-256(pepper, secret)

The look-up compares nothing secret byte by byte: without the pepper nobody can steer a digest towards a stored one.
Rotation leaves the old key working for 72 h, so that a fleet can be changed without an outage.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from km_protocol import api_keys as key_format
from km_protocol.errors import MalformedKeyError

from core.errors import InvalidRequest
from core.ids import random_text
from core.rows import by_public_id
from customers import audit, revocation
from customers.errors import (
    ExpiredApiKey,
    KeyNotUsable,
    MalformedApiKey,
    RevokedApiKey,
    UnknownApiKey,
    UnknownKeyId,
)
from customers.models import ApiKey, Customer
from customers.scopes import DEFAULT_SCOPES, Scope, ordered

ROTATION_OVERLAP = timedelta(hours=72)  # a long weekend: nobody is paged for a key
LAST_USED_EVERY = timedelta(minutes=1)  # a page says "used a minute ago"; a write for every request buys nothing
MAX_NAME_CHARACTERS = 80
MAX_LIVE_KEYS = 200  # a fleet with one key a machine; beyond it a script has gone wrong


class Issued(NamedTuple):
    """A new key's row and, this once, the key itself."""

    key: ApiKey
    secret: str


def digest(secret: str) -> str:
    """HMAC-SHA-256 of a key under the server's pepper, in hex."""
    return hmac.new(settings.API_KEY_PEPPER, secret.encode(), hashlib.sha256).hexdigest()


def issue(
    customer: Customer,
    name: str,
    *,
    at: datetime,
    kind: key_format.KeyKind = "live",
    scopes: Iterable[str] = DEFAULT_SCOPES,
    expires_at: datetime | None = None,
    actor: str = audit.SYSTEM,
) -> Issued:
    """Make a key for `customer`. Raises `InvalidRequest` on a bad name, scope, expiry, or too many keys."""
    name = _checked_name(name)
    granted = _checked_scopes(scopes)
    if expires_at is not None and expires_at <= at:
        raise InvalidRequest("`expires_at` is in the past", "give a later moment, or leave it out")
    if live(customer, at=at).count() >= MAX_LIVE_KEYS:
        raise no_room(customer)
    return _create(customer, name, at=at, kind=kind, scopes=granted, expires_at=expires_at, actor=actor)


def no_room(customer: Customer) -> InvalidRequest:
    """What is raised where a key more would be one too many."""
    return InvalidRequest(f"{customer.name} has {MAX_LIVE_KEYS} keys in use", "revoke the ones nobody uses")


def find(secret: str) -> ApiKey:
    """The row of a key someone presented, with its customer. Raises `MalformedApiKey` or `UnknownApiKey`."""
    try:
        key_format.parse(secret)
    except MalformedKeyError as error:
        raise MalformedApiKey(str(error), error.hint) from None
    key = ApiKey.objects.select_related("customer").filter(digest=digest(secret)).first()
    if key is None:
        raise UnknownApiKey(
            f"no such API key: `{secret[: key_format.DISPLAY_LENGTH]}…`",
            "check that it belongs to this server, or issue a new one",
        )
    return key


def check_usable(key: ApiKey, *, at: datetime) -> None:
    """Raises `RevokedApiKey` or `ExpiredApiKey` unless `key` works at `at`."""
    again = "run `km-client login` again on that machine" if is_login(key) else ""
    if key.revoked_at is not None:
        raise RevokedApiKey(f"the API key `{key.prefix}…` was revoked", again or "issue a new one and replace it")
    if key.expires_at is not None and key.expires_at <= at:
        why = "was replaced and its overlap is over" if key.replaced_by_id else "has expired"
        raise ExpiredApiKey(f"the API key `{key.prefix}…` {why}", again or "use its replacement, or issue a new one")


def is_login(key: ApiKey) -> bool:
    """Whether a machine got this key by logging in, so that no other has it."""
    return key_format.kind(key_format.ApiKey(key.prefix)) == "inst"


def list_keys(customer: Customer) -> QuerySet[ApiKey]:
    """All keys `customer` ever had, newest first."""
    return ApiKey.objects.filter(customer=customer).order_by("-id")


def live(customer: Customer, *, at: datetime) -> QuerySet[ApiKey]:
    """The keys of `customer` that work at `at`."""
    return list_keys(customer).filter(Q(expires_at=None) | Q(expires_at__gt=at), revoked_at=None)


def works(key: ApiKey, *, at: datetime) -> bool:
    """The same of one row."""
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > at)


def get(customer: Customer, public_id: str) -> ApiKey:
    """One key of `customer`. Raises `UnknownKeyId`, also for a key of somebody else."""
    key = by_public_id(list_keys(customer), public_id)
    if key is None:
        raise UnknownKeyId(f"{customer.name} has no key `{public_id[:40]}`", "`GET /api/keys` lists the ids")
    return key


def rotate(key: ApiKey, *, at: datetime, actor: str = audit.SYSTEM) -> Issued:
    """Issue a replacement with the same name and scopes; `key` works for 72 h more. Raises `KeyNotUsable`."""
    overlap_ends = min(key.expires_at or at + ROTATION_OVERLAP, at + ROTATION_OVERLAP)
    with transaction.atomic():
        kind = key_format.kind(key_format.ApiKey(key.prefix))
        issued = _create(
            key.customer, key.name, at=at, kind=kind, scopes=key.scopes, expires_at=key.expires_at, actor=actor
        )
        usable = live(key.customer, at=at).filter(pk=key.pk, replaced_by=None)
        if usable.update(replaced_by=issued.key, expires_at=overlap_ends) != 1:
            raise KeyNotUsable(
                f"the API key `{key.prefix}…` is revoked, expired or already replaced", "issue a new key instead"
            )
        audit.record(
            "api_key.rotated",
            subject=subject(key),
            at=at,
            actor=actor,
            customer=key.customer,
            replaced_by=issued.key.public_id,
            works_until=overlap_ends.isoformat(),
        )
    return issued


def revoke(key: ApiKey, *, at: datetime, actor: str = audit.SYSTEM, reason: str = "") -> bool:
    """Refuse `key`, and every token made with it, from now on. False if it already was revoked."""
    with transaction.atomic():
        if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=at):
            return False
        audit.record("api_key.revoked", subject=subject(key), at=at, actor=actor, customer=key.customer, reason=reason)
        revocation.announce()
    return True


def touch(key: ApiKey, *, at: datetime) -> None:
    """Note that `key` is in use, at most once a minute."""
    stale = Q(last_used_at=None) | Q(last_used_at__lte=at - LAST_USED_EVERY)
    if key.last_used_at is None or key.last_used_at <= at - LAST_USED_EVERY:
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=at)


def subject(key: ApiKey) -> str:
    """How the audit log names a key."""
    return f"api_key:{key.public_id}"


def _create(
    customer: Customer,
    name: str,
    *,
    at: datetime,
    kind: key_format.KeyKind,
    scopes: list[str],
    expires_at: datetime | None,
    actor: str,
) -> Issued:
    secret = key_format.compose(kind, random_text(key_format.BODY_LENGTH))
    with transaction.atomic():
        key = ApiKey.objects.create(
            customer=customer,
            name=name,
            prefix=key_format.display(secret),
            digest=digest(secret),
            scopes=scopes,
            created_at=at,
            expires_at=expires_at,
        )
        audit.record("api_key.issued", subject=subject(key), at=at, actor=actor, customer=customer, scopes=scopes)
    return Issued(key, secret)


def _checked_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME_CHARACTERS or not name.isprintable():
        raise InvalidRequest(
            f"`name` must have 1 to {MAX_NAME_CHARACTERS} printable characters", "name the machine or program"
        )
    return name


def _checked_scopes(scopes: Iterable[str]) -> list[str]:
    try:
        granted = ordered(scopes)
    except ValueError as error:
        known = ", ".join(f"`{scope.value}`" for scope in Scope)
        raise InvalidRequest(f"unknown scope: {error}", f"the scopes are {known}") from None
    if not granted:
        raise InvalidRequest("`scopes` is empty", "leave `scopes` out for the usual ones")
    return granted
