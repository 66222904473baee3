"""Making customers and letting people in.

    customer = create_customer("Acme", "pro", at=moment)      # with an active subscription
    add_member(customer, "ann@acme.example", "…", Member.Role.OWNER, at=moment)

A person signs in with an e-mail address; the same person may be a member of several customers.
"""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth import password_validation
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from core.errors import InvalidRequest
from customers import audit
from customers.errors import EmailTaken
from customers.models import Customer, Member, Subscription
from customers.queries import tier_named
from customers.states import State

MAX_EMAIL_CHARACTERS = 150  # it is also the user name, whose column holds that many
MAX_NAME_CHARACTERS = 120


def create_customer(
    name: str, tier_code: str, *, at: datetime, trial_ends_at: datetime | None = None, actor: str = audit.SYSTEM
) -> Customer:
    """A customer with a subscription: active, or trialing when a trial's end is given. Raises `InvalidRequest`."""
    name = checked_name(name)
    tier = tier_named(tier_code)
    state = State.ACTIVE if trial_ends_at is None else State.TRIALING
    with transaction.atomic():
        customer = Customer.objects.create(name=name, created_at=at)
        Subscription.objects.create(
            customer=customer, tier=tier, state=state, state_since=at, trial_ends_at=trial_ends_at
        )
        subject = f"customer:{customer.public_id}"
        audit.record("customer.created", subject=subject, at=at, actor=actor, customer=customer, tier=tier_code)
    return customer


def add_member(
    customer: Customer, email: str, password: str, role: str, *, at: datetime, actor: str = audit.SYSTEM
) -> Member:
    """A new user who signs in with `email` and `password`. Raises `EmailTaken`, `InvalidRequest`."""
    email = checked_email(email)
    _check_free(email)
    _check_password(password)
    if role not in Member.Role.values:
        raise InvalidRequest(f"there is no role `{role}`", f"the roles are {', '.join(Member.Role.values)}")
    with transaction.atomic():
        user = create_user(email, password)
        member = Member.objects.create(customer=customer, user=user, role=role, created_at=at)
        subject = f"member:{member.pk}"
        audit.record("member.added", subject=subject, at=at, actor=actor, customer=customer, email=email, role=role)
    return member


def create_user(email: str, password: str | None) -> User:
    """A person who signs in with `email`: with `password`, or, with `None`, through the organisation's own accounts.

    Raises `EmailTaken`, `InvalidRequest`.
    """
    email = checked_email(email)
    _check_free(email)
    if password is not None:
        _check_password(password)
    return User.objects.create_user(username=email, email=email, password=password)


def checked_name(name: str) -> str:
    """A customer's name without space around it. Raises `InvalidRequest`."""
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME_CHARACTERS:
        raise InvalidRequest(f"a customer's name has 1 to {MAX_NAME_CHARACTERS} characters", "give a shorter name")
    return name


def checked_email(email: str) -> str:
    """An e-mail address as accounts are named: in lower case. Raises `InvalidRequest`."""
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise InvalidRequest(f"`{email}` is not an e-mail address", "give one like `ann@acme.example`") from None
    if len(email) > MAX_EMAIL_CHARACTERS:
        raise InvalidRequest(f"an e-mail address has at most {MAX_EMAIL_CHARACTERS} characters", "use a shorter one")
    return email


def _check_free(email: str) -> None:
    if User.objects.filter(username=email).exists():
        raise EmailTaken(f"there is already a user `{email}`", "add the existing user as a member in the admin console")


def _check_password(password: str) -> None:
    try:
        password_validation.validate_password(password)
    except ValidationError as error:
        raise InvalidRequest("; ".join(error.messages), "choose a longer, less common password") from None
