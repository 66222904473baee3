"""`/app/`: what happened, what was slow, what failed, and what changed; for a new customer, how to begin.

    /app/?range=24h     1h, 24h, 7d or 30d

`/app/first-event` is what the first steps ask until the first event is here.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from alerts import incidents
from core.clock import now
from core.errors import InvalidRequest
from customers.models import Customer
from dashboard import charts, figures, first_run, session_list
from dashboard.boundary import member_page
from dashboard.plan import plan
from events import overview_queries, queries
from events.overview_queries import RANGES, Range

NEWEST_SESSIONS = 5
USUAL = "24h"
_OF_THE_SESSIONS = ("q", "before")  # this was the address of their list


@member_page
def overview(request: HttpRequest, customer: Customer) -> HttpResponse:
    """The figures of a range, its charts, and what stands out."""
    if any(name in request.GET for name in _OF_THE_SESSIONS):
        return redirect(f"{reverse('dashboard:sessions')}?{request.GET.urlencode()}")
    at, asked = now(), _range(request)
    context: dict[str, object] = {"customer": customer, "section": "overview", "now": at}
    if not overview_queries.has_any(customer.pk):
        return render(request, "dashboard/first_run.html", context | first_run.steps(customer, at=at))
    shown = overview_queries.overview(customer.pk, asked, at=at)
    sessions = session_list.read(customer.pk, at=at, limit=NEWEST_SESSIONS)
    context |= {
        "ranges": RANGES.values(),
        "asked": asked,
        "shown": shown,
        "figures": figures.of(shown),
        "charts": _charts(shown, asked),
        "plan": plan(customer, at=at),
        "sessions": sessions.sessions,
        "open_incidents": list(incidents.open_ones(customer)),  # one a rule at most, so a few dozen
    }
    return render(request, "dashboard/overview.html", context)


@member_page
def first_event(request: HttpRequest, customer: Customer) -> HttpResponse:
    """Nothing while there is none; then what came, and where to read it."""
    page = queries.recent_events(customer.pk, limit=1)
    if not page.rows:
        return HttpResponse(status=204)
    return render(request, "dashboard/parts/first_event.html", {"event": page.rows[0], "now": now()})


def _range(request: HttpRequest) -> Range:
    name = request.GET.get("range", USUAL)
    if name not in RANGES:
        raise InvalidRequest(f"there is no range `{name[:20]}`", f"the ranges are {', '.join(RANGES)}")
    return RANGES[name]


def _charts(shown: overview_queries.Overview, asked: Range) -> list[tuple[str, str, charts.Chart]]:
    """(question, name, drawing)"""
    return [
        ("How much was asked, and what failed?", "Traffic", charts.traffic(shown.points, asked.step)),
        ("How long did answers take?", "Latency", charts.latency(shown.points, asked.step)),
    ]
