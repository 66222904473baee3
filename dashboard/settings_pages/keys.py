"""The organisation's API keys: issued and shown once, rotated with an overlap, revoked."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from core.clock import now
from core.errors import ApiError, InvalidRequest
from customers import api_keys
from customers.api_keys import Issued
from customers.members import actor_of
from customers.models import ApiKey, Customer
from customers.permissions import Permission
from customers.scopes import DEFAULT_SCOPES, Scope
from dashboard import boundary
from dashboard.boundary import member_act, member_page
from dashboard.settings_pages.acts import acted, told

PAGE = "dashboard:keys"
LIFETIMES = {"": "never", "30": "in 30 days", "90": "in 90 days", "365": "in a year"}


@member_page
def listed(request: HttpRequest, customer: Customer) -> HttpResponse:
    """The keys, newest first. None of them can be shown again."""
    at = now()
    rows = api_keys.list_keys(customer)[: api_keys.MAX_LIVE_KEYS]
    context = {
        "customer": customer,
        "section": "settings",
        "page": "keys",
        "rows": [(key, api_keys.works(key, at=at)) for key in rows],
        "may_manage": boundary.may(request, Permission.MANAGE_KEYS),
        "scopes": [(scope.value, scope.label, scope in DEFAULT_SCOPES) for scope in Scope],
        "lifetimes": LIFETIMES,
        "now": at,
    }
    return render(request, "dashboard/settings/keys.html", context)


@member_act
def issue(request: HttpRequest, customer: Customer) -> HttpResponse:
    """Make a key, and show it this once."""
    at, actor = now(), actor_of(boundary.membership(request))
    try:
        expires_at = _expiry(request.POST.get("expires", ""), at)
        scopes = request.POST.getlist("scope")
        name = request.POST.get("name", "")
        issued = api_keys.issue(customer, name, at=at, scopes=scopes, expires_at=expires_at, actor=actor)
    except ApiError as error:
        told(request, error)
        return redirect(PAGE)
    return _secret_page(request, customer, issued)


@member_act
def rotate(request: HttpRequest, customer: Customer, key_id: str) -> HttpResponse:
    """Make a replacement, and show it this once; the old key works for 72 hours more."""
    key = api_keys.get(customer, key_id)
    try:
        issued = api_keys.rotate(key, at=now(), actor=actor_of(boundary.membership(request)))
    except ApiError as error:
        told(request, error)
        return redirect(PAGE)
    return _secret_page(request, customer, issued, replaces=key)


@member_act
def revoke(request: HttpRequest, customer: Customer, key_id: str) -> HttpResponse:
    """Refuse a key, and every token made with it, from now on."""
    key, actor = api_keys.get(customer, key_id), actor_of(boundary.membership(request))
    return acted(
        request,
        PAGE,
        lambda: api_keys.revoke(key, at=now(), actor=actor),
        f"The key {key.prefix}… is revoked. It is refused everywhere within a minute.",
    )


def _secret_page(
    request: HttpRequest, customer: Customer, issued: Issued, *, replaces: ApiKey | None = None
) -> HttpResponse:
    context = {
        "customer": customer,
        "section": "settings",
        "page": "keys",
        "key": issued.key,
        "secret": issued.secret,
        "replaces": replaces,
        "now": now(),
    }
    return render(request, "dashboard/settings/key_issued.html", context)


def _expiry(days: str, at: datetime) -> datetime | None:
    if days not in LIFETIMES:
        raise InvalidRequest("there is no such expiry", "choose one of the list")
    return at + timedelta(days=int(days)) if days else None
