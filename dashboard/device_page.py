"""`/app/device`: a person says whether the machine that shows a code may record in an organisation's name (RFC 8628).

    /app/device                          asks for the code
    /app/device?user_code=WDJB-MJHT      which machine asks, from where, and what for: let it in, or not

The code in a link is not the person's word: whoever sends such a link to somebody else (§5.4) would be let in by them.
So the page shows what asked, says to compare, and nothing happens before a button is pressed, nor for another
organisation than the page named. Who presses twice is told what came of it. Guessing codes is limited for each person
and each address.
"""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from core.clock import now
from core.errors import ApiError, InvalidRequest, TooManyRequests
from core.throttling import FailureLimit, address_of, network_of
from customers import device_codes, user_codes
from customers.device_rows import DeviceGrant
from customers.errors import OtherCustomer, UnknownUserCode
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
    if not given:
        return render(request, "dashboard/device.html", _context(customer))
    try:
        grant = _waiting(request, given)
    except UnknownUserCode as error:
        context = _context(customer) | {"given": given, "error": error}
        return render(request, "dashboard/device.html", context, status=error.status)
    return _shown(request, customer, given, grant)


@member_act
def decide(request: HttpRequest, customer: Customer) -> HttpResponse:
    """Let it in, or not."""
    decision, given = request.POST.get("decision", ""), request.POST.get("user_code", "")[:40]
    if decision not in (_ALLOW, _DENY):
        raise InvalidRequest("`decision` is neither `allow` nor `deny`", "press one of the page's two buttons")
    if request.POST.get("customer") != customer.public_id:
        raise OtherCustomer(f"you look at {customer.name} by now", "open the link again, and see which name is there")
    by = boundary.membership(request)
    grant = device_codes.decided(given, by=by, at=now())
    if grant is None:
        grant = _waiting(request, given)
        try:
            device_codes.decide(grant, approved=decision == _ALLOW, by=by, at=now())
        except InvalidRequest as error:
            return _shown(request, customer, given, grant, error)
    return render(request, "dashboard/device_done.html", _context(customer) | {"grant": grant})


def _context(customer: Customer) -> dict[str, object]:
    return {"customer": customer, "section": "settings", "page": "machines"}


def _shown(
    request: HttpRequest, customer: Customer, given: str, grant: DeviceGrant, error: ApiError | None = None
) -> HttpResponse:
    """What asks, and the question; with `error`, why it cannot be let in now."""
    context = _context(customer) | {
        "grant": grant,
        "code": user_codes.read(given),
        "scopes": [Scope(scope).label for scope in grant.scopes],
        "is_same_address": grant.address == address_of(request),
        "may_work": boundary.may(request, Permission.WORK),
        "now": now(),
        "error": error,
    }
    return render(request, "dashboard/device.html", context, status=error.status if error else 200)


def _waiting(request: HttpRequest, user_code: str) -> DeviceGrant:
    at = now()
    callers = (f"user {request.user.pk}", f"address {network_of(address_of(request))}")
    try:
        for caller in callers:
            GUESSES.check(caller, now=at)
    except TooManyRequests as error:
        minutes = -(-(error.retry_after or 60) // 60)
        hint = f"wait {minutes} minute{'s' if minutes != 1 else ''}, then read the code again on the machine"
        raise TooManyRequests("too many codes were tried that are none", hint, retry_after=error.retry_after) from None
    try:
        return device_codes.waiting(user_code, at=at)
    except UnknownUserCode:
        for caller in callers:
            GUESSES.count(caller, now=at)
        raise
