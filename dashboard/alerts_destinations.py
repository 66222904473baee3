"""Where incidents are told, and what was told: `/app/alerts/destinations`, `/app/alerts/messages`.

A webhook's address may hold a secret of its receiver's, so both are for whoever may change settings.
"""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from alerts import deliveries, destinations
from alerts.models import Destination
from core.clock import now
from core.errors import ApiError, InvalidRequest
from customers import members
from customers.members import actor_of
from customers.models import Customer
from dashboard import boundary
from dashboard.boundary import member_act, member_page
from dashboard.settings_pages.acts import acted, told

PAGE = "dashboard:alert_destinations"
A_PAGE, MAX_MEMBERS = 50, 200


@member_page
def listed(request: HttpRequest, customer: Customer) -> HttpResponse:
    """The destinations, and the forms of new ones."""
    context = {
        "customer": customer,
        "section": "alerts",
        "page": "destinations",
        "rows": list(destinations.listed(customer)),
        "members": members.listed(customer)[:MAX_MEMBERS],
        "may_manage": True,  # nobody else comes here
        "now": now(),
    }
    return render(request, "dashboard/alerts/destinations.html", context)


@member_act
def add_email(request: HttpRequest, customer: Customer) -> HttpResponse:
    """Members to write to."""
    actor, name = _actor(request), request.POST.get("name", "")
    chosen = [int(each) for each in request.POST.getlist("member") if each.isascii() and each.isdigit()]
    if any(each > members.MAX_ID for each in chosen):
        raise InvalidRequest("there is no such member", "choose among those listed")
    done = f"“{name.strip()}” is added. Choose it in the rules that should tell it."
    return acted(request, PAGE, lambda: destinations.add_email(customer, name, chosen, at=now(), actor=actor), done)


@member_act
def add_webhook(request: HttpRequest, customer: Customer) -> HttpResponse:
    """A webhook; its secret is shown this once."""
    name, url = request.POST.get("name", ""), request.POST.get("url", "").strip()
    try:
        made, secret = destinations.add_webhook(customer, name, url, at=now(), actor=_actor(request))
    except ApiError as error:
        told(request, error)
        return redirect(PAGE)
    return _secret_page(request, customer, made, secret, is_new=True)


@member_act
def rotate(request: HttpRequest, customer: Customer, public_id: str) -> HttpResponse:
    """A new secret, shown this once; the old one signs too for a day."""
    row = destinations.get(customer, public_id)
    try:
        secret = destinations.rotate(row, at=now(), actor=_actor(request))
    except ApiError as error:
        told(request, error)
        return redirect(PAGE)
    return _secret_page(request, customer, row, secret, is_new=False)


@member_act
def switch(request: HttpRequest, customer: Customer, public_id: str) -> HttpResponse:
    """On or off."""
    on = request.POST.get("on") == "1"
    return _act(
        request,
        customer,
        public_id,
        lambda row: destinations.switch(row, on=on, at=now(), actor=_actor(request)),
        "“{name}” is " + ("on." if on else "off: it is told nothing."),
    )


@member_act
def test(request: HttpRequest, customer: Customer, public_id: str) -> HttpResponse:
    """Send something that says it is a test."""
    return _act(
        request,
        customer,
        public_id,
        lambda row: destinations.test(row, at=now(), actor=_actor(request)),
        "A test for “{name}” is on its way. The messages show how it goes.",
    )


@member_act
def delete(request: HttpRequest, customer: Customer, public_id: str) -> HttpResponse:
    """For good, with what was sent there."""
    return _act(
        request,
        customer,
        public_id,
        lambda row: destinations.delete(row, at=now(), actor=_actor(request)),
        "“{name}” is deleted.",
    )


@member_page
def log(request: HttpRequest, customer: Customer) -> HttpResponse:
    """What was sent, the newest first."""
    page = deliveries.page(customer, cursor=request.GET.get("before") or None, limit=A_PAGE)
    context = {
        "customer": customer,
        "section": "alerts",
        "page": "messages",
        "rows": page.rows,
        "next": page.next,
        "is_first": "before" not in request.GET,
        "may_manage": True,  # nobody else comes here
        "now": now(),
    }
    return render(request, "dashboard/alerts/messages.html", context)


@member_page
def message(request: HttpRequest, customer: Customer, public_id: str) -> HttpResponse:
    """One message: what was sent, and each try."""
    row = deliveries.get(customer, public_id)
    context = {
        "customer": customer,
        "section": "alerts",
        "delivery": row,
        "attempts": deliveries.newest_attempts(row),
        "now": now(),
    }
    return render(request, "dashboard/alerts/message.html", context)


@member_act
def again(request: HttpRequest, customer: Customer, public_id: str) -> HttpResponse:
    """Send a message once more, under its id."""
    row = deliveries.get(customer, public_id)
    try:
        destinations.send_again(row, at=now(), actor=_actor(request))
    except ApiError as error:
        told(request, error)
    else:
        messages.success(request, "It is sent once more, under the same id.")
    return redirect("dashboard:alert_message", public_id=public_id)


def _act(
    request: HttpRequest, customer: Customer, public_id: str, act: Callable[[Destination], object], done: str
) -> HttpResponse:
    row = destinations.get(customer, public_id)
    return acted(request, PAGE, lambda: act(row), done.replace("{name}", row.name))


def _actor(request: HttpRequest) -> str:
    return actor_of(boundary.membership(request))


def _secret_page(
    request: HttpRequest, customer: Customer, row: Destination, secret: str, *, is_new: bool
) -> HttpResponse:
    context = {
        "customer": customer,
        "section": "alerts",
        "page": "destinations",
        "destination": row,
        "secret": secret,
        "is_new": is_new,
        "may_manage": True,  # nobody else comes here
        "overlap": destinations.OVERLAP,
    }
    return render(request, "dashboard/alerts/secret.html", context)
