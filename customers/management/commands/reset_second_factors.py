"""`manage.py reset_second_factors --email ann@acme.example --reason "lost her phone"`: the password alone again.

For whoever lost every second factor and every recovery code, once their identity was checked by other means. All of
their browsers are signed out: whoever has the password next is asked to set up a factor anew where that is demanded.
"""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import User
from django.core.management.base import CommandParser

from core.clock import now
from core.errors import InvalidRequest
from customers import audit
from customers.management.operator_command import OperatorCommand
from customers.members import memberships_of


class Command(OperatorCommand):
    help = "Remove a person's second factors and recovery codes, and sign them out everywhere."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--email", required=True, help="whom they belong to")
        parser.add_argument("--reason", required=True, help="for the audit log")

    def run(self, options: dict[str, Any]) -> dict[str, str]:
        user, reason = _find(options["email"]), options["reason"].strip()
        if not reason:
            raise InvalidRequest("`--reason` is empty", "say why, and how you know who asked: the audit log keeps it")
        factors = Authenticator.objects.filter(user=user)
        kinds = sorted(factors.values_list("type", flat=True))
        if not kinds:
            raise InvalidRequest(f"`{user.get_username()}` has no second factor", "there is nothing to remove")
        factors.delete()
        sessions = list(UserSession.objects.filter(user=user))
        for session in sessions:
            session.end()
        subject, at, details = f"user:{user.get_username()}", now(), {"types": kinds, "reason": reason}
        audit.record("second_factor.reset", subject=subject, at=at, **details)
        for member in memberships_of(user):
            audit.record("second_factor.reset", subject=subject, at=at, customer=member.customer, **details)
        return {"user": user.get_username(), "removed": ", ".join(kinds), "signed_out": str(len(sessions))}


def _find(email: str) -> User:
    user = User.objects.filter(username=email.strip().lower()).first() or User.objects.filter(username=email).first()
    if user is None:
        raise InvalidRequest(f"there is no user `{email}`", "the admin console lists them under Users")
    return user
