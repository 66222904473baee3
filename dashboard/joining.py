"""Coming in for the first time: by an invitation's link, or, where `KM_SIGN_UP=open`, by asking for one oneself.

    /app/join/<token>   keeps the token in the session and leads to
    /app/join           what one is invited to; a button for who is signed in, a password for who is new
    /app/sign-up        sends a letter; the page says the same whether the address is known or not

The link is a secret: it leaves the address bar at once, and no page that shows it links to another site.
"""

from __future__ import annotations

from datetime import timedelta

from allauth.account.internal.flows.login import perform_login
from allauth.account.models import Login
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from core.clock import now
from core.errors import ApiError, InvalidRequest, NotFound
from core.throttling import FailureLimit, address_of
from customers import invitations, letters
from customers.models import Invitation, Member
from dashboard.boundary import CHOSEN, open_page

TOKEN = "km_invitation"  # noqa: S105 - the session's key of the link that was followed
PER_ADDRESS = FailureLimit("sign-up-address", failures=10, window=timedelta(hours=1))
PER_EMAIL = FailureLimit("sign-up-email", failures=3, window=timedelta(hours=1))


@require_safe
@open_page
def followed(request: HttpRequest, token: str) -> HttpResponse:
    """The letter's link."""
    invitations.find(token, at=now())
    request.session[TOKEN] = token
    return redirect("dashboard:join")


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("password")
@open_page
def join(request: HttpRequest) -> HttpResponse:
    """What one is invited to, and the way in."""
    invitation = invitations.find(request.session.get(TOKEN, ""), at=now())
    if request.method != "POST":
        return _page(request, invitation)
    if isinstance(request.user, User):
        member = invitations.accept(invitation, request.user, at=now())
        _joined(request, member)
        return redirect("dashboard:overview")
    try:
        member = invitations.accept_as_new(invitation, request.POST.get("password", ""), at=now())
    except InvalidRequest as error:
        return _page(request, invitation, error=error)
    _joined(request, member)
    answer = perform_login(request, Login(user=member.user, redirect_url=reverse("dashboard:overview")))
    assert isinstance(answer, HttpResponse)
    return answer


@require_http_methods(["GET", "HEAD", "POST"])
@open_page
def sign_up(request: HttpRequest) -> HttpResponse:
    """Ask for a letter to oneself."""
    if settings.SIGN_UP != "open":
        raise NotFound("this server takes new people by invitation", "ask an owner of your organisation for one")
    if request.user.is_authenticated:
        return redirect("dashboard:overview")
    error, email, organisation = None, "", ""
    if request.method == "POST":
        email, organisation = request.POST.get("email", ""), request.POST.get("organisation", "")
        try:
            _send(request, email, organisation)
            return render(request, "dashboard/sign_up_sent.html", {"email": email.strip()})
        except ApiError as refused:
            error = refused
    context = {"error": error, "email": email, "organisation": organisation}
    return render(request, "dashboard/sign_up.html", context, status=error.status if error else 200)


def _send(request: HttpRequest, email: str, organisation: str) -> None:
    at, address = now(), address_of(request)
    for limit, caller in ((PER_ADDRESS, address), (PER_EMAIL, email.strip().lower())):
        limit.check(caller, now=at)
        limit.count(caller, now=at)
    sent = invitations.sign_up(email, organisation, at=at)
    if sent is None:
        letters.send_known(email.strip())
    else:
        letters.send_invitation(sent)


def _page(request: HttpRequest, invitation: Invitation, *, error: ApiError | None = None) -> HttpResponse:
    user = request.user
    context = {
        "invitation": invitation,
        "organisation": invitation.customer.name if invitation.customer else invitation.organisation,
        "has_account": invitations.has_account(invitation),
        "is_theirs": user.is_authenticated and user.get_username() == invitation.email,
        "error": error,
        "sso": settings.OIDC_NAME if settings.OIDC_ISSUER and invitation.customer else "",
    }
    return render(request, "dashboard/join.html", context, status=error.status if error else 200)


def _joined(request: HttpRequest, member: Member) -> None:
    request.session.pop(TOKEN, None)
    request.session[CHOSEN] = member.customer.public_id
