"""The one gate and the one error boundary of this room.

    @member_page
    def sessions(request: HttpRequest, customer: Customer) -> HttpResponse: …

    @member_act
    def revoke(request: HttpRequest, customer: Customer, key_id: str) -> HttpResponse: …

A stranger goes to the sign-in page; a script of the page gets 401 (the page then reloads itself), and who sent a form
or asked for a file after their session ended is told so, and that nothing was changed. Whose customer it is, is the
person's choice among those they belong to; what they may there, `dashboard.permits` says by the route's name. Someone
signed in who belongs to no customer is told so. Errors of the rooms below become a page with their own status, words
and hint. What a view shows is one customer's, so nothing may keep a copy: `Cache-Control: private, no-store`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.views import redirect_to_login
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.http import require_POST, require_safe

from core import correlation
from core.errors import ApiError, Forbidden, database_unavailable, headers
from customers.members import memberships_of
from customers.models import Member
from customers.permissions import Permission, permissions_of
from dashboard.permits import needed

View = Callable[..., HttpResponseBase]
CHOSEN = "km_customer"
"""The session's key of the customer a person of several looks at: its public id."""
FILES = {
    *("export_csv", "export_jsonl", "replay_jsonl", "replay_txt", "download", "tool_definition", "audit_export"),
}
"""Routes that answer with a file: whoever has to sign in first goes back to the page that has the link."""


def member_page(view: View) -> View:
    """`view(request, customer, …)` for whoever belongs to `customer` and may read this; reading only."""

    return require_safe(_guarded(view, _as_member, acts=False))


def member_act(view: View) -> View:
    """`view(request, customer, …)` as `member_page`, for what is done by a form: POST only, its token checked."""
    return require_POST(_guarded(view, _as_member, acts=True))


def person_page(view: View) -> View:
    """`view(request, …)` for whoever is signed in, about themselves; reading only."""
    return require_safe(_guarded(view, _as_person, acts=False))


def person_act(view: View) -> View:
    """`view(request, …)` as `person_page`, for what is done by a form."""
    return require_POST(_guarded(view, _as_person, acts=True))


def open_page(view: View) -> View:
    """`view(request, …)` for anyone: errors become pages, and nothing is kept."""
    return _guarded(view, _as_anybody, acts=False)


def membership(request: HttpRequest) -> Member:
    """Of whoever the gate let through to a customer's page."""
    member = getattr(request, "membership", None)
    assert isinstance(member, Member)
    return member


def memberships(request: HttpRequest) -> list[Member]:
    """Every customer whoever is signed in belongs to; asked for once a request."""
    found: list[Member] | None = getattr(request, "memberships", None)
    if found is None:
        found = memberships_of(request.user)
        request.memberships = found  # type: ignore[attr-defined]
    return found


def chosen(request: HttpRequest) -> Member | None:
    """The membership a person looks through: the one they chose, else the first one they have."""
    found = memberships(request)
    wanted = request.session.get(CHOSEN)
    return next((each for each in found if each.customer.public_id == wanted), found[0] if found else None)


def may(request: HttpRequest, permission: Permission) -> bool:
    """Whether whoever is signed in may do this for the customer they look at."""
    return permission in permissions_of(membership(request).role)


def _guarded(view: View, let_in: Callable[..., HttpResponseBase], *, acts: bool) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, **parts: Any) -> HttpResponseBase:
        try:
            response = let_in(view, request, acts, parts)
        except ApiError as error:
            response = problem(request, error)
        except (OperationalError, InterfaceError):
            response = problem(request, database_unavailable())
        add_never_cache_headers(response)
        return response

    guarded.let_in = let_in  # type: ignore[attr-defined]  # a test asks which gate a route has
    return guarded


def _as_member(view: View, request: HttpRequest, acts: bool, parts: dict[str, Any]) -> HttpResponseBase:
    if not request.user.is_authenticated:
        return _sign_in(request)
    member = chosen(request)
    if member is None:
        return _no_customer(request)
    request.membership = member  # type: ignore[attr-defined]
    correlation.identify(customer_id=member.customer.public_id)
    route = request.resolver_match.url_name if request.resolver_match else None
    permission = needed(route or "", acts=acts)
    if permission not in permissions_of(member.role):
        raise Forbidden(f"the role `{member.role}` may not {permission}", "ask an owner of your organisation")
    return view(request, member.customer, **parts)


def _as_person(view: View, request: HttpRequest, acts: bool, parts: dict[str, Any]) -> HttpResponseBase:  # noqa: ARG001
    return view(request, **parts) if request.user.is_authenticated else _sign_in(request)


def _as_anybody(view: View, request: HttpRequest, acts: bool, parts: dict[str, Any]) -> HttpResponseBase:  # noqa: ARG001
    return view(request, **parts)


def _sign_in(request: HttpRequest) -> HttpResponseBase:
    if getattr(request, "htmx", False):
        return HttpResponse(status=401)
    route = request.resolver_match.url_name if request.resolver_match else None
    if request.method == "POST" or (route in FILES and "Referer" in request.headers):
        return redirect(f"{reverse('dashboard:login')}?{urlencode({'next': _page_of_form(request), 'ended': '1'})}")
    return redirect_to_login(request.get_full_path())


def _page_of_form(request: HttpRequest) -> str:
    """Where the form was, to go back to: an act's own address shows nothing."""
    came_from = request.headers.get("Referer", "")
    safe = url_has_allowed_host_and_scheme(came_from, {request.get_host()}, require_https=request.is_secure())
    return urlsplit(came_from)._replace(scheme="", netloc="").geturl() if came_from and safe else "/app/"


def _no_customer(request: HttpRequest) -> HttpResponseBase:
    staff = getattr(request.user, "is_staff", False)
    context = {
        "heading": "You belong to no customer yet",
        "message": "Ask an owner of your company's account to add you as a member, then reload this page.",
        "way_out": reverse("admin:index") if staff else request.get_full_path(),
        "way_out_label": "Open the operator's console" if staff else "Reload",
    }
    return render(request, "dashboard/problem.html", context, status=403)


def problem(request: HttpRequest, error: ApiError) -> HttpResponse:
    """`error` as a page."""
    context = {
        "heading": _HEADINGS.get(error.status, "This page could not be shown"),
        "message": " ".join(f"{said[:1].upper()}{said[1:]}." for said in (error.message, error.hint) if said),
        "way_out": reverse("dashboard:sessions"),
        "way_out_label": "All sessions",
    }
    response = render(request, "dashboard/problem.html", context, status=error.status)
    for name, value in headers(error).items():
        response[name] = value
    return response


def form_too_old(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001 - Django's signature
    """Django's `CSRF_FAILURE_VIEW`: most often somebody signed in or out in another tab since the form was shown."""
    context = {
        "heading": "This form is too old",
        "message": "Nothing was changed. Somebody signed in or out since it was shown: open the page again.",
        "way_out": _page_of_form(request),
        "way_out_label": "Open it again",
    }
    return render(request, "dashboard/problem.html", context, status=403)


_HEADINGS = {
    400: "This address is not complete",
    403: "You may not do this",
    404: "There is nothing here",
    409: "This cannot be done now",
    410: "This link is no longer good",
    503: "The database cannot be reached",
}
