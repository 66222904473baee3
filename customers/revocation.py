"""Taking back what was given: in force here at once, everywhere within 60 s.

Three ways, coarsest first. *All of a customer's tokens*: its `token_version` is raised, and every token carries the
version it was made under. *All tokens of a key*: the key is revoked (`api_keys.revoke`). *One token*: its `jti` is
denied until it would have expired.

What makes 60 s the bound is that no process trusts its own memory of a proof for longer (`proofs`); what makes it
"at once" in the process that revokes is `announce`, which empties that memory when the transaction commits, and tells
the others where there is a Redis to tell them by (`announcements`).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from km_protocol.claims import LEEWAY_SECONDS

from customers import announcements, audit, proofs
from customers.models import Customer, RevokedToken


def announce() -> None:
    """Forget every remembered proof once the surrounding transaction has committed."""
    transaction.on_commit(proofs.forget_all)
    transaction.on_commit(announcements.bump)


def revoke_all_tokens(customer: Customer, *, at: datetime, actor: str = audit.SYSTEM, reason: str = "") -> None:
    """Refuse every token `customer` has; its API keys still work and get new ones."""
    with transaction.atomic():
        Customer.objects.filter(pk=customer.pk).update(token_version=F("token_version") + 1)
        customer.refresh_from_db(fields=["token_version"])
        audit.record(
            "customer.tokens_revoked",
            subject=f"customer:{customer.public_id}",
            at=at,
            actor=actor,
            customer=customer,
            token_version=customer.token_version,
            reason=reason,
        )
        announce()


def revoke_token(
    customer: Customer, jti: str, *, expires_at: datetime, at: datetime, actor: str = audit.SYSTEM
) -> None:
    """Refuse the one token `jti`. Safe to do twice."""
    with transaction.atomic():
        _, created = RevokedToken.objects.get_or_create(
            jti=jti, defaults={"customer": customer, "expires_at": expires_at, "revoked_at": at}
        )
        if created:
            audit.record("token.revoked", subject=f"token:{jti}", at=at, actor=actor, customer=customer)
        announce()


def is_revoked(jti: str) -> bool:
    """Whether the one token `jti` was revoked."""
    return RevokedToken.objects.filter(jti=jti).exists()


def forget_expired_tokens(*, at: datetime) -> int:
    """Drop denials of tokens that are refused by their age, leeway included; returns how many."""
    return RevokedToken.objects.filter(expires_at__lt=at - timedelta(seconds=LEEWAY_SECONDS)).delete()[0]


def suspend(customer: Customer, *, at: datetime, actor: str = audit.SYSTEM, reason: str = "") -> bool:
    """Refuse everything of `customer` until `reinstate`. False if it already was suspended."""
    return _set_suspended(customer, "customer.suspended", at, at=at, actor=actor, reason=reason)


def reinstate(customer: Customer, *, at: datetime, actor: str = audit.SYSTEM, reason: str = "") -> bool:
    """Undo `suspend`. False if `customer` was not suspended."""
    return _set_suspended(customer, "customer.reinstated", None, at=at, actor=actor, reason=reason)


def _set_suspended(
    customer: Customer, action: str, moment: datetime | None, *, at: datetime, actor: str, reason: str
) -> bool:
    with transaction.atomic():
        rows = Customer.objects.filter(pk=customer.pk, suspended_at__isnull=moment is not None)
        if not rows.update(suspended_at=moment):
            return False
        subject = f"customer:{customer.public_id}"
        audit.record(action, subject=subject, at=at, actor=actor, customer=customer, reason=reason)
        customer.suspended_at = moment
        announce()
    return True
