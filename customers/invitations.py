"""Letting people in by a letter: a link that is signed, works once, for one address, for a week, and is kept nowhere.

    sent = invite(customer, "ann@acme.example", "member", by=mine, at=moment)
    sent.token                    → "inv_7Yd0….Qm3x….sig": in the letter and nowhere else
    opened = find(token, at=moment)
    accept(opened, user, at=moment)      or      accept_as_new(opened, password, at=moment)

The signature (Django's, under the secret key) is checked before the database is asked; of the secret in the link only
its SHA-256 is stored, which is enough for 178 random bits. Sending again makes a new link and ends the old one. A
sign-up is an invitation to oneself: no account exists before its address is proven.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import NamedTuple

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core import signing
from django.db import transaction
from django.db.models import Q, QuerySet

from core.errors import Forbidden, InvalidRequest
from core.ids import random_text
from core.rows import by_public_id
from customers import accounts, audit
from customers.errors import AlreadyMember, InvitationOver, NotYourInvitation, UnknownInvitation
from customers.members import actor_of
from customers.models import Customer, Invitation, Member
from customers.permissions import ROLES, may_give
from customers.tiers import FREE

GOOD_FOR = timedelta(days=7)
SECRET_CHARACTERS = 30  # base62: 178 bits
MAX_OPEN = 100  # for one customer: nobody sends letters to the world through us
MAX_SENT = 5  # letters of one invitation


class Sent(NamedTuple):
    """An invitation and, this once, what its letter's link holds."""

    invitation: Invitation
    token: str


def invite(customer: Customer, email: str, role: str, *, by: Member, at: datetime) -> Sent:
    """Invite `email`; an open invitation of the same address is replaced. Raises `InvalidRequest`, `Forbidden`,
    `AlreadyMember`."""
    email = accounts.checked_email(email)
    if role not in ROLES:
        raise InvalidRequest(f"there is no role `{role[:20]}`", f"the roles are {', '.join(ROLES)}")
    _check_may_invite(by, role)
    if Member.objects.filter(customer=customer, user__username=email).exists():
        raise AlreadyMember(f"`{email}` is a member already", "change the role in the list of members")
    with transaction.atomic():
        Customer.objects.select_for_update().get(
            pk=customer.pk
        )  # two letters to one address at once: one after the other
        others = open_ones(customer, at=at).exclude(email=email)
        if others.count() >= MAX_OPEN:
            raise InvalidRequest(f"{MAX_OPEN} invitations are open already", "revoke the ones nobody will accept")
        Invitation.objects.filter(_OPEN, customer=customer, email=email).update(revoked_at=at)
        sent = _create(customer=customer, email=email, role=role, invited_by=actor_of(by), at=at)
        _record("member.invited", sent.invitation, actor_of(by), at, role=role)
    return sent


def sign_up(email: str, organisation: str, *, at: datetime) -> Sent | None:
    """Invite somebody to found a customer. `None` where the address has an account: that is told in the letter only.

    Raises `InvalidRequest`.
    """
    email, organisation = accounts.checked_email(email), accounts.checked_name(organisation)
    if _user(email) is not None:
        return None
    with transaction.atomic():
        Invitation.objects.filter(_OPEN, customer=None, email=email).update(revoked_at=at)
        return _create(organisation=organisation, email=email, role="owner", invited_by=f"user:{email}", at=at)


def resend(customer: Customer, public_id: str, *, by: Member, at: datetime) -> Sent:
    """A new link, good for a week; the old one ends. Raises `UnknownInvitation`, `Forbidden`, `InvalidRequest`."""
    with transaction.atomic():
        invitation = _get_open(customer, public_id, by)
        if invitation.sent >= MAX_SENT:
            raise InvalidRequest(f"{MAX_SENT} letters were sent already", "ask whether they arrive, or invite anew")
        secret = random_text(SECRET_CHARACTERS)
        invitation.digest, invitation.expires_at, invitation.sent = _digest(secret), at + GOOD_FOR, invitation.sent + 1
        invitation.save(update_fields=["digest", "expires_at", "sent"])
        _record("member.invited_again", invitation, actor_of(by), at, role=invitation.role)
    return Sent(invitation, _token(invitation, secret))


def revoke(customer: Customer, public_id: str, *, by: Member, at: datetime) -> None:
    """End the link. Raises `UnknownInvitation`, `Forbidden`."""
    with transaction.atomic():
        invitation = _get_open(customer, public_id, by)
        invitation.revoked_at = at
        invitation.save(update_fields=["revoked_at"])
        _record("member.invitation_revoked", invitation, actor_of(by), at, role=invitation.role)


def pending(customer: Customer) -> QuerySet[Invitation]:
    """What is neither accepted nor revoked, expired ones too, the newest first."""
    return Invitation.objects.filter(_OPEN, customer=customer).order_by("-id")


def open_ones(customer: Customer, *, at: datetime) -> QuerySet[Invitation]:
    """What may still be accepted."""
    return pending(customer).filter(expires_at__gt=at)


def find(token: str, *, at: datetime) -> Invitation:
    """The invitation of a link somebody followed. Raises `InvitationOver`, whatever is wrong with it."""
    try:
        public_id, secret = _signer().unsign(token).split(".")
    except (signing.BadSignature, ValueError):
        raise _over() from None
    invitation = Invitation.objects.select_related("customer").filter(_OPEN, public_id=public_id).first()
    if invitation is None or invitation.expires_at <= at or not hmac.compare_digest(invitation.digest, _digest(secret)):
        raise _over()
    return invitation


def has_account(invitation: Invitation) -> bool:
    """Whether whoever was invited can sign in already."""
    return _user(invitation.email) is not None


def waits_for(email: str, *, at: datetime) -> bool:
    """Whether any customer has invited this address."""
    return Invitation.objects.filter(_OPEN, email=email, expires_at__gt=at).exclude(customer=None).exists()


def accept(invitation: Invitation, user: User, *, at: datetime) -> Member:
    """Make `user` a member. Raises `NotYourInvitation`, `AlreadyMember`, and `InvitationOver` when it is used up."""
    if user.get_username() != invitation.email:
        raise NotYourInvitation(
            f"this invitation is for `{invitation.email}`, and you are signed in as `{user.get_username()}`",
            "sign out, then follow the link again",
        )
    with transaction.atomic():
        _use(invitation, at)
        customer = _customer(invitation, at)
        member, made = Member.objects.get_or_create(
            customer=customer, user=user, defaults={"role": invitation.role, "created_at": at}
        )
        if not made:
            raise AlreadyMember(f"you are a member of {customer.name} already", "open your sessions")
        subject = f"member:{member.pk}"
        audit.record(
            "member.joined",
            subject=subject,
            at=at,
            actor=actor_of(member),
            customer=customer,
            email=invitation.email,
            role=invitation.role,
            invitation=invitation.public_id,
        )
    return member


def accept_as_new(invitation: Invitation, password: str, *, at: datetime) -> Member:
    """Make the account, and `accept`. Raises `InvalidRequest` for a weak password, `EmailTaken`."""
    with transaction.atomic():
        return accept(invitation, accounts.create_user(invitation.email, password), at=at)


_OPEN = Q(accepted_at=None, revoked_at=None)


def _create(*, email: str, role: str, invited_by: str, at: datetime, **whose: object) -> Sent:
    secret = random_text(SECRET_CHARACTERS)
    invitation = Invitation.objects.create(
        email=email,
        role=role,
        invited_by=invited_by,
        created_at=at,
        expires_at=at + GOOD_FOR,
        digest=_digest(secret),
        **whose,
    )
    return Sent(invitation, _token(invitation, secret))


def _get_open(customer: Customer, public_id: str, by: Member) -> Invitation:
    row = by_public_id(pending(customer).select_for_update(), public_id)
    if row is None:
        raise UnknownInvitation("there is no such open invitation", "the list of members shows those that are open")
    _check_may_invite(by, row.role)
    return row


def _check_may_invite(by: Member, role: str) -> None:
    if not may_give(by.role, role):
        raise Forbidden(f"the role `{by.role}` may not invite as `{role}`", "ask an owner of your organisation")


def _use(invitation: Invitation, at: datetime) -> None:
    still = Invitation.objects.filter(_OPEN, pk=invitation.pk, digest=invitation.digest, expires_at__gt=at)
    if still.update(accepted_at=at) != 1:
        raise _over()


def _customer(invitation: Invitation, at: datetime) -> Customer:
    if invitation.customer is not None:
        return invitation.customer
    return accounts.create_customer(invitation.organisation, FREE, at=at, actor=invitation.invited_by)


def _record(action: str, invitation: Invitation, actor: str, at: datetime, **details: str) -> None:
    subject = f"invitation:{invitation.public_id}"
    audit.record(
        action, subject=subject, at=at, actor=actor, customer=invitation.customer, email=invitation.email, **details
    )


def _over() -> InvitationOver:
    return InvitationOver("this invitation is no longer good", "it works once and for seven days: ask for a new one")


def _user(email: str) -> object | None:
    return get_user_model().objects.filter(username=email).first()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _signer() -> signing.Signer:
    return signing.Signer(salt="customers.invitations")


def _token(invitation: Invitation, secret: str) -> str:
    return _signer().sign(f"{invitation.public_id}.{secret}")
