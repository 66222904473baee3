"""The one gate and the one error boundary of this room.

    @member_page
    def sessions(request: HttpRequest, customer: Customer) -> HttpResponse: …

A stranger goes to the sign-in page, or gets 401 when a script of the page asks (the page then reloads itself). Someone
signed in who belongs to no customer is told so. Errors of the rooms below become a page with their own status, words
and hint. What a view shows is one customer's, so nothing may keep a copy: `Cache-Control: private, no-store`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.views.decorators.http import require_POST, require_safe

from core import correlation
from core.errors import ApiError, database_unavailable, headers
from customers.models import Customer
from customers.queries import customer_of

View = Callable[..., HttpResponse]


def member_page(view: View) -> View:
    """`view(request, customer, …)` for whoever is signed in and belongs to `customer`; reading only."""

    return require_safe(_guarded(view))


def member_act(view: View) -> View:
    """`view(request, customer, …)` as `member_page`, for what is done by a form: POST only, its token checked."""
    return require_POST(_guarded(view))


def _guarded(view: View) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, **parts: Any) -> HttpResponse:
        try:
            response = _answer(view, request, parts)
        except ApiError as error:
            response = _problem(request, error)
        except (OperationalError, InterfaceError):
            response = _problem(request, database_unavailable())
        add_never_cache_headers(response)
        return response

    return guarded


def _answer(view: View, request: HttpRequest, parts: dict[str, Any]) -> HttpResponse:
    if not request.user.is_authenticated:
        return _sign_in(request)
    customer = customer_of(request.user)
    if not isinstance(customer, Customer):
        return _no_customer(request)
    correlation.identify(customer_id=customer.public_id)
    return view(request, customer, **parts)


def _sign_in(request: HttpRequest) -> HttpResponse:
    if getattr(request, "htmx", False):
        return HttpResponse(status=401)
    return redirect_to_login(request.get_full_path())


def _no_customer(request: HttpRequest) -> HttpResponse:
    staff = getattr(request.user, "is_staff", False)
    context = {
        "heading": "You belong to no customer yet",
        "message": "Ask an owner of your company's account to add you as a member, then reload this page.",
        "way_out": reverse("admin:index") if staff else request.get_full_path(),
        "way_out_label": "Open the operator's console" if staff else "Reload",
    }
    return render(request, "dashboard/problem.html", context, status=403)


def _problem(request: HttpRequest, error: ApiError) -> HttpResponse:
    context = {
        "heading": _HEADINGS.get(error.status, "This page could not be shown"),
        "message": f"{error.message}. {error.hint}".rstrip(". ") + ".",
        "way_out": reverse("dashboard:sessions"),
        "way_out_label": "All sessions",
    }
    response = render(request, "dashboard/problem.html", context, status=error.status)
    for name, value in headers(error).items():
        response[name] = value
    return response


_HEADINGS = {
    400: "This address is not complete",
    403: "You may not do this",
    404: "There is nothing here",
    409: "This cannot be done now",
    503: "The database cannot be reached",
}
