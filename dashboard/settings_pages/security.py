"""One's own account: how one signs in, where one is signed in, and which organisations one belongs to.

Passwords and second factors are changed on django-allauth's pages in our dress, which ask for the password again first.
"""

from __future__ import annotations

from ipaddress import ip_address

from allauth.account.internal.flows.logout import logout
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from core.clock import now
from core.errors import NotFound
from dashboard import boundary, identity_log
from dashboard.boundary import CHOSEN, person_act, person_page
from dashboard.user_agents import browser

MAX_ID = 2**63 - 1  # what a bigint holds


@person_page
def security(request: HttpRequest) -> HttpResponse:
    """Password, second factors, sessions, organisations."""
    user, member = _person(request), boundary.chosen(request)
    factors = [each.wrap() for each in Authenticator.objects.filter(user=user).order_by("id")]
    of_type = {kind: [each for each in factors if each.instance.type == kind] for kind in Authenticator.Type.values}
    codes = of_type[Authenticator.Type.RECOVERY_CODES]
    context = {
        "customer": member.customer if member else None,
        "member": member,
        "section": "settings",
        "page": "security",
        "totp": of_type[Authenticator.Type.TOTP][:1],
        "passkeys": of_type[Authenticator.Type.WEBAUTHN],
        "codes_left": len(codes[0].get_unused_codes()) if codes else None,
        "sessions": [(each, browser(each.user_agent)) for each in UserSession.objects.purge_and_list(user)],
        "this_session": request.session.session_key,
        "memberships": boundary.memberships(request),
        "by_sso": bool(settings.OIDC_ISSUER),
        "needs_a_name": _is_number(request.get_host()),
        "now": now(),
    }
    return render(request, "dashboard/settings/security.html", context)


@person_act
def end_session(request: HttpRequest, session_id: int) -> HttpResponse:
    """Sign out one other browser."""
    row = UserSession.objects.filter(user=_person(request), pk=session_id).first() if session_id <= MAX_ID else None
    if row is None:
        raise NotFound("there is no such session", "it may have ended already")
    row.end()
    identity_log.record("session.ended", _person(request), sessions=1)
    messages.success(request, "That browser is signed out.")
    return redirect("dashboard:security")


@person_act
def end_sessions(request: HttpRequest) -> HttpResponse:
    """Sign out everywhere, or, with `others`, everywhere else."""
    user, keep_this = _person(request), "others" in request.POST
    rows = [row for row in UserSession.objects.filter(user=user) if not (keep_this and row.is_current())]
    identity_log.record("session.ended", user, sessions=len(rows))
    for row in rows:
        row.end()
    if not keep_this:
        logout(request)
        return redirect("dashboard:login")
    messages.success(request, "Every other browser is signed out.")
    return redirect("dashboard:security")


@person_act
def choose(request: HttpRequest) -> HttpResponse:
    """Look at another of one's organisations."""
    wanted = request.POST.get("customer", "")
    if wanted not in {each.customer.public_id for each in boundary.memberships(request)}:
        raise NotFound("you belong to no such organisation", "choose one of the list")
    request.session[CHOSEN] = wanted
    return redirect("dashboard:overview")


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # what the gate lets through
    return request.user


def _is_number(host: str) -> bool:
    """Whether the address bar shows an IP address, for which browsers make no passkeys."""
    try:
        ip_address(host.rpartition(":")[0].strip("[]") if not host.endswith("]") and ":" in host else host.strip("[]"))
    except ValueError:
        return False
    return True
