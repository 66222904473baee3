"""`/app/alerts`: what is wrong now and the rules that tell of it; an incident with what happened to it, step by step.

/app/alerts                              open incidents, the latest that are over, the rules
/app/alerts/incidents?before=…           those that are over
/app/alerts/incidents/inc_…              one of them
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from alerts import incidents, rules, words
from alerts.models import Delivery, Incident, Kind, Rule
from core.clock import now
from core.errors import ApiError
from customers.members import actor_of
from customers.models import Customer
from customers.permissions import Permission
from dashboard import boundary
from dashboard.boundary import member_act, member_page
from dashboard.settings_pages.acts import told

LATEST, A_PAGE = 5, 50
SHOWN_DELIVERIES = 100  # of one incident's timeline
_TONES = {Delivery.State.DELIVERED: "good", Delivery.State.FAILED: "bad", Delivery.State.WAITING: ""}
_AROUND = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Listed:
    """An incident with its words."""

    row: Incident
    sentence: str
    scope: str


@dataclass(frozen=True, slots=True)
class Moment:
    """A step of an incident's timeline."""

    at: datetime
    words: str
    tone: str = ""


@member_page
def alerts(request: HttpRequest, customer: Customer) -> HttpResponse:
    """What is open, what was, and the rules."""
    at, is_open = now(), list(incidents.open_ones(customer))
    firing = {incident.rule_id: incident for incident in is_open}
    own = rules.listed(customer).prefetch_related("destinations")
    context = {
        "customer": customer,
        "section": "alerts",
        "page": "alerts",
        "open": [_listed(row) for row in is_open],
        "latest": [_listed(row) for row in incidents.page(customer, limit=LATEST).rows],
        "rules": [_rule(row, firing.get(row.pk), at) for row in own],
        "may_manage": boundary.may(request, Permission.MANAGE_SETTINGS),
        "may_work": boundary.may(request, Permission.WORK),
        "now": at,
    }
    return render(request, "dashboard/alerts/alerts.html", context)


@member_page
def past(request: HttpRequest, customer: Customer) -> HttpResponse:
    """Incidents that are over, a page of them."""
    page = incidents.page(customer, cursor=request.GET.get("before") or None, limit=A_PAGE)
    context = {
        "customer": customer,
        "section": "alerts",
        "page": "incidents",
        "latest": [_listed(row) for row in page.rows],
        "next": page.next,
        "is_first": "before" not in request.GET,
        "may_manage": boundary.may(request, Permission.MANAGE_SETTINGS),
        "now": now(),
    }
    return render(request, "dashboard/alerts/incidents.html", context)


@member_page
def incident(request: HttpRequest, customer: Customer, public_id: str) -> HttpResponse:
    """One incident: what was measured, where to look, what happened."""
    row = incidents.get(customer, public_id)
    context = {
        "customer": customer,
        "section": "alerts",
        "incident": row,
        "sentence": words.sentence(row),
        "scope": words.scope(row),
        "worst": words.value(row, row.worst),
        "limit": words.rule(row),
        "events_url": events_url(row),
        "timeline": _timeline(row),
        "may_work": boundary.may(request, Permission.WORK),
        "may_manage": boundary.may(request, Permission.MANAGE_SETTINGS),
        "mutes": rules.MUTES,
        "now": now(),
    }
    return render(request, "dashboard/alerts/incident.html", context)


@member_act
def acknowledge(request: HttpRequest, customer: Customer, public_id: str) -> HttpResponse:
    """Say that somebody has seen it."""
    row = incidents.get(customer, public_id)
    try:
        incidents.acknowledge(row, at=now(), actor=actor_of(boundary.membership(request)))
    except ApiError as error:
        told(request, error)
    else:
        messages.success(request, "Acknowledged: your name is beside it.")
    return redirect("dashboard:incident", public_id=public_id)


def events_url(row: Incident) -> str:
    """The list of the events that show it."""
    begin = row.opened_at - timedelta(minutes=row.window_minutes)
    if row.kind == Kind.SILENCE:
        begin = row.opened_at - timedelta(minutes=row.value) - 5 * _AROUND  # the last that was heard
    asked = {"server": row.server, "method": row.method, "tool": row.tool}
    if row.kind == Kind.ERRORS:
        asked["errors"] = "1"
    if row.kind == Kind.DEFINITION:
        asked |= {"method": "tools/list", "tool": ""}
    moments = {"from": _minute(begin), "to": _minute((row.resolved_at or row.opened_at) + _AROUND)}
    narrowed = {name: value for name, value in (asked | moments).items() if value}
    return f"{reverse('dashboard:events')}?{urlencode(narrowed)}"


def _listed(row: Incident) -> Listed:
    return Listed(row, words.sentence(row), words.scope(row))


def _rule(row: Rule, firing: Incident | None, at: datetime) -> dict[str, object]:
    return {
        "row": row,
        "incident": firing,
        "words": words.rule(row),
        "scope": words.scope(row),
        "is_muted": incidents.is_muted(row, at),
        "tells": [each.name for each in row.destinations.all()],
    }


def _timeline(row: Incident) -> list[Moment]:
    found = [Moment(row.opened_at, f"Opened at {words.value(row, row.value)}", "bad")]
    if row.muted:
        found.append(Moment(row.opened_at, "The rule was muted: nobody was told"))
    deliveries = row.deliveries.select_related("destination").order_by("id")[:SHOWN_DELIVERIES]
    found += _told(deliveries)
    if row.acknowledged_at:
        found.append(Moment(row.acknowledged_at, f"Acknowledged by {row.acknowledged_by.removeprefix('user:')}"))
    if row.resolved_at:
        found.append(Moment(row.resolved_at, f"Resolved: {row.resolved_because}", "good"))
    return sorted(found, key=lambda each: each.at)


def _told(deliveries: Iterable[Delivery]) -> list[Moment]:
    """Members by their address, as their list has them. Not a webhook's: it may be a secret of its receiver's."""
    found = []
    for row in deliveries:
        state = {"delivered": "was told", "failed": "could not be told", "waiting": "is being told"}[row.state]
        who = f"{row.destination.name} ({row.address})" if row.member_id else row.destination.name
        words_ = f"{who} {state} that it {'began' if row.about == Delivery.About.OPENED else 'is over'}"
        tries = f" (try {row.tries})" if row.tries > 1 else ""
        found.append(Moment(row.finished_at or row.created_at, words_ + tries, _TONES[Delivery.State(row.state)]))
    return found


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M}"
