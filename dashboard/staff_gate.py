"""The operator's console asks for a second factor: a password alone opens no page of `/admin/`.

Where `KM_STAFF_MFA` holds, staff whose session has shown no second factor are sent to show it, or, when they have none
yet, to their security page to add one. A passkey is both factors at once.
"""

from __future__ import annotations

from collections.abc import Callable

from allauth.account.authentication import get_authentication_records
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

CONSOLE = "/admin/"  # where kmcloud.urls puts it
_OPEN = ("/admin/login/", "/admin/logout/")


class StaffGate:
    """Middleware, after Django's of sessions, people and messages."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return _turned_away(request) or self.get_response(request)


def shown(request: HttpRequest) -> bool:
    """Whether this session has shown a second factor."""
    return any(record["method"] == "mfa" for record in get_authentication_records(request, request.user))


def _turned_away(request: HttpRequest) -> HttpResponse | None:
    path = request.path_info
    if not settings.STAFF_MFA or not path.startswith(CONSOLE) or path in _OPEN:
        return None
    user = request.user
    if not user.is_authenticated or not user.is_staff or shown(request):
        return None
    if is_mfa_enabled(user):
        return redirect_to_login(request.get_full_path(), reverse("mfa_reauthenticate"))
    messages.warning(request, "The console needs a second factor: add an authenticator app or a passkey first.")
    return redirect("dashboard:security")
