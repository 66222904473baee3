"""Signing in: by e-mail and password, slowed down for whoever keeps guessing.

Ten wrong passwords for one account from one address within 15 minutes close that pair until the window ends, and a
hundred from one address close the address. An account is never closed to everyone: that would let a stranger lock its
owner out. A closed door does not look at the password at all.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError

from core.clock import now
from core.errors import TooManyRequests
from core.throttling import FailureLimit, address_of

WINDOW = timedelta(minutes=15)
PER_ACCOUNT = FailureLimit("sign-in-account", failures=10, window=WINDOW)  # a caps lock takes about five
PER_ADDRESS = FailureLimit("sign-in-address", failures=100, window=WINDOW)  # an office behind one address


class SignInForm(AuthenticationForm):
    """Django's form, with e-mail addresses in any case and a limit on guessing."""

    error_messages = {  # noqa: RUF012 - Django reads it from the class
        "invalid_login": "This e-mail and password do not belong together.",
        "inactive": "This account is switched off. Ask the person who runs this server.",
        "too_many": "Too many tries. Wait %(minutes)s min, then try again.",
    }

    def clean_username(self) -> str:
        """E-mail addresses are stored in lower case; other user names are taken as they are."""
        name: str = self.cleaned_data["username"]
        return name.lower() if "@" in name else name

    def clean(self) -> dict[str, Any]:
        """Authenticate, unless this account or address has failed too often."""
        at = now()
        limits = self._limits()
        self._check(limits, at)
        try:
            return super().clean()
        except ValidationError:
            for limit, caller in limits:
                limit.count(caller, now=at)
            raise

    def _limits(self) -> list[tuple[FailureLimit, str]]:
        address = address_of(self.request) if self.request is not None else ""
        return [(PER_ACCOUNT, f"{self.cleaned_data.get('username', '')} {address}"), (PER_ADDRESS, address)]

    def _check(self, limits: list[tuple[FailureLimit, str]], at: datetime) -> None:
        try:
            for limit, caller in limits:
                limit.check(caller, now=at)
        except TooManyRequests as error:
            minutes = -(-(error.retry_after or 60) // 60)
            raise ValidationError(self.error_messages["too_many"], "too_many", {"minutes": minutes}) from None


class SignIn(LoginView):
    """The sign-in page. Whoever is signed in already goes on to the sessions."""

    template_name = "dashboard/login.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True
