"""`/app/device`: a person says whether the machine that shows a code may record in an organisation's name (RFC 8628).

    /app/device                          asks for the code
    /app/device?user_code=WDJB-MJHT      which machine asks, from where, and what for: let it in, or not

The code in a link is not the person's word: whoever sends such a link to somebody else (§5.4) would be let in by them.
So the page shows what asked, says to compare, and nothing happens before a button is pressed. Guessing codes is limited
for each person and each address.
"""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from core.clock import now
from core.errors import InvalidRequest
from core.throttling import FailureLimit, address_of
from customers import device_codes
from customers.device_rows import DeviceGrant
from customers.errors import UnknownUserCode
from customers.models import Customer
from customers.permissions import Permission
from customers.scopes import Scope
from dashboard import boundary
from dashboard.boundary import member_act, member_page

GUESSES = FailureLimit("device-user-code", failures=20, window=timedelta(minutes=15))
_ALLOW, _DENY = "allow", "deny"


@member_page
def device(request: HttpRequest, customer: Customer) -> HttpResponse:
    """The form for a code, or what waits under it."""
    given = request.GET.get("user_code", "")[:40]
    context: dict[str, object] = {"customer": customer, "section": "settings", "page": "machines", "given": given}
    context["may_work"] = boundary.may(request, Permission.WORK)
    if not given:
        return render(request, "dashboard/device.html", context)
    try:
        grant = _waiting(request, given)
    except UnknownUserCode as error:
        return render(request, "dashboard/device.html", {**context, "error": error}, status=error.status)
    context |= {
        "grant": grant,
        "code": given.upper(),
        "scopes": [Scope(scope).label for scope in grant.scopes],
        "is_same_address": grant.address == address_of(request),
        "now": now(),
    }
    return render(request, "dashboard/device.html", context)


@member_act
def decide(request: HttpRequest, customer: Customer) -> HttpResponse:
    """Let it in, or not."""
    decision = request.POST.get("decision", "")
    if decision not in (_ALLOW, _DENY):
        raise InvalidRequest("`decision` is neither `allow` nor `deny`", "press one of the page's two buttons")
    grant = _waiting(request, request.POST.get("user_code", "")[:40])
    approved = decision == _ALLOW
    device_codes.decide(grant, approved=approved, by=boundary.membership(request), at=now())
    context = {
        "customer": customer,
        "section": "settings",
        "page": "machines",
        "grant": grant,
        "approved": approved,
    }
    return render(request, "dashboard/device_done.html", context)


def _waiting(request: HttpRequest, user_code: str) -> DeviceGrant:
    at = now()
    callers = (f"user {request.user.pk}", f"address {address_of(request)}")
    for caller in callers:
        GUESSES.check(caller, now=at)
    try:
        return device_codes.waiting(user_code, at=at)
    except UnknownUserCode:
        for caller in callers:
            GUESSES.count(caller, now=at)
        raise
