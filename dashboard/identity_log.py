"""What people change about how they sign in, in the audit log of no customer: it is theirs, wherever they belong."""

from __future__ import annotations

from typing import Any

from allauth.account import signals as account
from allauth.mfa import signals as mfa
from django.contrib.auth.models import User

from core.clock import now
from customers import audit


def connect() -> None:
    """Listen from now on; called once, when the app is ready."""
    mfa.authenticator_added.connect(_factor_added, dispatch_uid="km")
    mfa.authenticator_removed.connect(_factor_removed, dispatch_uid="km")
    mfa.authenticator_reset.connect(_factor_reset, dispatch_uid="km")
    for signal in (account.password_changed, account.password_set, account.password_reset):
        signal.connect(_password_changed, dispatch_uid="km")


def record(action: str, user: User, **details: Any) -> None:
    """Write that a person did `action` to their own account."""
    name = f"user:{user.get_username()}"
    audit.record(action, subject=name, at=now(), actor=name, **details)


def _factor_added(user: User, authenticator: Any, **_: Any) -> None:
    record("second_factor.added", user, type=str(authenticator.type))


def _factor_removed(user: User, authenticator: Any, **_: Any) -> None:
    record("second_factor.removed", user, type=str(authenticator.type))


def _factor_reset(user: User, authenticator: Any, **_: Any) -> None:
    record("second_factor.replaced", user, type=str(authenticator.type))


def _password_changed(user: User, **_: Any) -> None:
    record("password.changed", user)
