"""Signing in: by e-mail and password, slowed down for whoever keeps guessing, then a second factor where there is one.

Ten wrong passwords for one account from one address within 15 minutes close that pair until the window ends, and a
hundred from one address close the address. An account is never closed to everyone: that would let a stranger lock its
owner out. A closed door does not look at the password at all. The same two limits hold wherever a password is asked
for again (`dashboard.identity`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from allauth.account.internal.flows.login import perform_password_login
from allauth.account.models import Login
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, redirect_to_login
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from core.clock import now
from core.errors import Forbidden, TooManyRequests
from core.throttling import FailureLimit, address_of, network_of
from dashboard.boundary import problem

WINDOW = timedelta(minutes=15)
PER_ACCOUNT = FailureLimit("sign-in-account", failures=10, window=WINDOW)  # a caps lock takes about five
PER_ADDRESS = FailureLimit("sign-in-address", failures=100, window=WINDOW)  # an office behind one address


def check_guesses(request: HttpRequest | None, name: str, *, at: datetime) -> None:
    """Raises `ValidationError` once there were too many wrong passwords for `name` or from this address."""
    try:
        for limit, caller in _limits(request, name):
            limit.check(caller, now=at)
    except TooManyRequests as error:
        minutes = -(-(error.retry_after or 60) // 60)
        raise ValidationError(f"Too many tries. Wait {minutes} min, then try again.", "too_many") from None


def count_guess(request: HttpRequest | None, name: str, *, at: datetime) -> None:
    """Note one wrong password."""
    for limit, caller in _limits(request, name):
        limit.count(caller, now=at)


def _limits(request: HttpRequest | None, name: str) -> list[tuple[FailureLimit, str]]:
    address = address_of(request) if request is not None else ""
    return [(PER_ACCOUNT, f"{name} {network_of(address)}"), (PER_ADDRESS, address)]


class SignInForm(AuthenticationForm):
    """Django's form, with e-mail addresses in any case and a limit on guessing."""

    error_messages = {  # noqa: RUF012 - Django reads it from the class
        "invalid_login": "This e-mail and password do not belong together.",
        "inactive": "This account is switched off. Ask the person who runs this server.",
    }

    def clean_username(self) -> str:
        """E-mail addresses are stored in lower case; other user names are taken as they are."""
        name: str = self.cleaned_data["username"]
        return name.lower() if "@" in name else name

    def clean(self) -> dict[str, Any]:
        """Authenticate, unless this account or address has failed too often."""
        at, name = now(), self.cleaned_data.get("username", "")
        check_guesses(self.request, name, at=at)
        try:
            return super().clean()
        except ValidationError:
            count_guess(self.request, name, at=at)
            raise


class SignIn(LoginView):
    """The sign-in page. Whoever is signed in already goes on to the overview."""

    template_name = "dashboard/login.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """The password was right: ask for the second factor of whoever has one, then begin a new session."""
        user = form.get_user()
        login = Login(user=user, redirect_url=self.get_success_url())
        answer = perform_password_login(self.request, {"username": user.get_username()}, login)
        assert isinstance(answer, HttpResponse)
        return answer

    def get_context_data(self, **parts: Any) -> dict[str, Any]:
        """What else may be offered beside the password."""
        ways = {"sso": settings.OIDC_NAME if settings.OIDC_ISSUER else "", "may_sign_up": settings.SIGN_UP == "open"}
        return super().get_context_data(**parts, **ways, ended="ended" in self.request.GET)


class StaffSignIn(SignIn):
    """The console's own address of signing in: the same door, back to the console."""

    redirect_authenticated_user = False  # whoever is no staff would be sent to and fro

    def get(self, request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
        if request.user.is_authenticated and not request.user.is_staff:
            return problem(request, Forbidden("the console is for those who run this server", "go back to your pages"))
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"))

    def get_default_redirect_url(self) -> str:
        return reverse("admin:index")
