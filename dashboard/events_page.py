"""`/app/events`: every message of the customer, newest first, narrowed by its address, live, and as a file.

`/app/live/events` is the list again if it changed, `/app/events/ID/opened` the inside of the drawer,
`/app/events/export.csv` and `.jsonl` everything the address finds.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render

from core.clock import now
from core.errors import NotFound
from customers.models import Customer
from dashboard import event_export, event_filter, event_list, timeline
from dashboard.boundary import member_page
from dashboard.exchanges import from_its_request
from events import overview_queries, queries
from events.overview_queries import RANGES

SERVERS_OVER = timedelta(days=30)
MOST_SERVERS = 100  # a longer list to choose from helps nobody


@member_page
def events(request: HttpRequest, customer: Customer) -> HttpResponse:
    """The list, and what it may be narrowed to."""
    at = now()
    context = _list_context(request, customer, at) | {
        "section": "events",
        "types": event_filter.TYPES,
        "directions": event_filter.DIRECTIONS.items(),
        "ranges": RANGES.values(),
        "servers": overview_queries.server_names(customer.pk, since=at - SERVERS_OVER, most=MOST_SERVERS),
    }
    return render(request, "dashboard/events.html", context)


@member_page
def events_live(request: HttpRequest, customer: Customer) -> HttpResponse:
    """The list again, if it differs from the one the page shows."""
    context = _list_context(request, customer, now())
    listed = context["listed"]
    assert isinstance(listed, event_list.EventList)
    if request.GET.get("seen") == listed.seen:
        return HttpResponse(status=204)
    return render(request, "dashboard/parts/event_table.html", context)


@member_page
def event(request: HttpRequest, customer: Customer, event_id: UUID) -> HttpResponse:
    """One event with what it answers or what answered it, on a page of its own."""
    context = _event_context(customer, event_id)
    return render(request, "dashboard/event.html", context | {"section": "events"})


@member_page
def event_opened(request: HttpRequest, customer: Customer, event_id: UUID) -> HttpResponse:
    """The same, for the drawer."""
    return render(request, "dashboard/parts/event_opened.html", _event_context(customer, event_id))


@member_page
def export(request: HttpRequest, customer: Customer, form: str) -> StreamingHttpResponse:
    """Everything the address finds, as a file."""
    at = now()
    asked = event_filter.of(request.GET.dict(), at=at)
    return StreamingHttpResponse(
        event_export.stream(customer.pk, asked.only, form),
        content_type=event_export.FORMATS[form],
        headers={"Content-Disposition": f'attachment; filename="events-{at:%Y%m%d-%H%M%S}.{form}"'},
    )


def _list_context(request: HttpRequest, customer: Customer, at: datetime) -> dict[str, object]:
    asked = event_filter.of(request.GET.dict(), at=at)
    listed = event_list.read(customer.pk, asked, before=request.GET.get("before"))
    has_any = bool(listed.lines or listed.next) or overview_queries.has_any(customer.pk)
    return {"customer": customer, "listed": listed, "asked": asked, "has_any": has_any, "now": at}


def _event_context(customer: Customer, event_id: UUID) -> dict[str, object]:
    at, found = now(), queries.event(customer.pk, event_id)
    exchanges = queries.exchanges(customer.pk, found.session_id, [event_id]) if found else []
    if found is None or not exchanges:
        raise NotFound("there is no such event", "it may have been deleted when its retention ended")
    exchange = from_its_request(customer, exchanges[0])
    row = timeline.row(exchange, started_at=exchange.first.timestamp, now=at)
    return {"customer": customer, "event": found, "row": row, "now": at}
