"""Who may come in by the organisation's own accounts, which an OpenID Connect issuer vouches for.

    admit("ann@acme.example", at=moment)   → the User; Forbidden for whoever may not come in

Only an address the issuer has verified counts. With `KM_OIDC_DOMAINS`, addresses of other domains never come in, also
not those who have an account here. Somebody without an account is let in when an invitation waits for their address, or
when `KM_OIDC_CUSTOMER` takes everybody of those domains: as a member with `KM_OIDC_ROLE`.
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from core.errors import Forbidden
from customers import accounts, audit, invitations
from customers.models import Customer, Member


def admit(email: str, *, at: datetime) -> User:
    """The person whom the issuer vouched for as `email` ("": for nobody's address). Raises `Forbidden`."""
    if not email:
        raise Forbidden("the other side did not say that your e-mail address is verified", "verify it there first")
    email = accounts.checked_email(email)
    domains = {domain.lower() for domain in settings.OIDC_DOMAINS}
    if domains and email.rpartition("@")[2] not in domains:
        raise Forbidden(f"`{email}` may not sign in this way", "use an account of your organisation")
    user = User.objects.filter(username=email).first()
    if user is not None:
        return user
    if domains and settings.OIDC_CUSTOMER:
        return _join(email, at)
    if not invitations.waits_for(email, at=at):
        raise Forbidden(f"there is no account for `{email}` here", "ask an owner of your organisation to invite you")
    return accounts.create_user(email, None)


def _join(email: str, at: datetime) -> User:
    customer = Customer.objects.filter(public_id=settings.OIDC_CUSTOMER).first()
    if customer is None:
        raise Forbidden("KM_OIDC_CUSTOMER names no customer of this server", "ask whoever runs this server")
    with transaction.atomic():
        user = accounts.create_user(email, None)
        member = Member.objects.create(customer=customer, user=user, role=settings.OIDC_ROLE, created_at=at)
        subject = f"member:{member.pk}"
        audit.record(
            "member.joined",
            subject=subject,
            at=at,
            actor=f"user:{email}",
            customer=customer,
            email=email,
            role=settings.OIDC_ROLE,
            by="single sign-on",
        )
    return user
