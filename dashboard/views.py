"""The pages of `/app/`. A view decodes the request, asks the rooms below, and fills a template.

Live parts are polled: the page says what it has seen, and the answer is 204 and nothing while that is still so.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from core.clock import now
from core.errors import NotFound
from customers import api_keys
from customers.models import Customer
from dashboard import first_run, message_view, session_list, timeline
from dashboard.boundary import member_page
from dashboard.overview import overview
from events import queries
from events.rows import EventRow, Exchange, SessionRow

EXCHANGES_PER_PAGE = 100
MAX_WATCHED = 50  # open requests whose answers one page waits for
LIVELY = timedelta(minutes=10)  # how long after its last message a session is polled often


@member_page
def sessions(request: HttpRequest, customer: Customer) -> HttpResponse:
    """All sessions, newest first, with the day's figures; for a new customer, how to begin."""
    at = now()
    listed = session_list.read(customer.pk, before=request.GET.get("before"), server=request.GET.get("q", ""), at=at)
    context = {"customer": customer, "section": "sessions", "listed": listed, "now": at}
    if listed.is_first_run:
        return render(request, "dashboard/first_run.html", context | first_run.steps(customer, at=at))
    return render(request, "dashboard/sessions.html", context | {"overview": overview(customer, at=at)})


@member_page
def sessions_live(request: HttpRequest, customer: Customer) -> HttpResponse:
    """The list again, if it differs from the one the page shows."""
    at = now()
    listed = session_list.read(customer.pk, before=request.GET.get("before"), server=request.GET.get("q", ""), at=at)
    if request.GET.get("seen") == listed.seen:
        return HttpResponse(status=204)
    if request.GET.get("seen") == session_list.NOTHING_SEEN:
        return HttpResponse(headers={"HX-Refresh": "true"})  # the first session: another page altogether
    context = {"customer": customer, "listed": listed, "now": at, "overview": overview(customer, at=at), "live": True}
    return render(request, "dashboard/parts/session_table.html", context)


@member_page
def session(request: HttpRequest, customer: Customer, session_id: str) -> HttpResponse:
    """One session: what it was, and its messages, request and response paired."""
    context = _session_context(request, customer, session_id, now())
    if context["next"]:
        context["latest"] = queries.session_tail(customer.pk, session_id, last=EXCHANGES_PER_PAGE)
    return render(request, "dashboard/session.html", context | {"section": "sessions"})


@member_page
def session_more(request: HttpRequest, customer: Customer, session_id: str) -> HttpResponse:
    """The next rows, for the page that has the ones before."""
    return render(request, "dashboard/parts/more.html", _session_context(request, customer, session_id, now()))


@member_page
def session_live(request: HttpRequest, customer: Customer, session_id: str) -> HttpResponse:
    """The rows that are new, and those whose answer came, since the page last asked."""
    at = now()
    found = _session_of(customer, session_id)
    if request.GET.get("seen") == _seen(found, at):
        return HttpResponse(status=204)
    context = _session_context(request, customer, session_id, at, found)
    watched = queries.exchanges(customer.pk, session_id, _watched(request))
    answered = [exchange for exchange in watched if exchange.answers]
    context["answered"] = timeline.rows(answered, started_at=found.started_at, now=at)
    return render(request, "dashboard/parts/session_live.html", context)


@member_page
def exchange(request: HttpRequest, customer: Customer, session_id: str, event_id: UUID) -> HttpResponse:
    """One exchange on a page of its own: the link to send to a colleague."""
    context = _exchange_context(customer, session_id, event_id)
    return render(request, "dashboard/exchange.html", context | {"section": "sessions"})


@member_page
def exchange_opened(request: HttpRequest, customer: Customer, session_id: str, event_id: UUID) -> HttpResponse:
    """The inside of a row."""
    return render(request, "dashboard/parts/opened.html", _exchange_context(customer, session_id, event_id))


@member_page
def message(request: HttpRequest, customer: Customer, session_id: str, event_id: UUID) -> HttpResponse:
    """One whole message on a page of its own."""
    view = message_view.of_whole(_event_of(customer, session_id, event_id))
    context = {"customer": customer, "section": "sessions", "session": _session_of(customer, session_id), "view": view}
    return render(request, "dashboard/message.html", context)


@member_page
def message_whole(request: HttpRequest, customer: Customer, session_id: str, event_id: UUID) -> HttpResponse:
    """One whole message, to stand where its beginning stood."""
    view = message_view.of_whole(_event_of(customer, session_id, event_id))
    return render(request, "dashboard/parts/message_body.html", {"view": view})


@member_page
def download(request: HttpRequest, customer: Customer, session_id: str, event_id: UUID) -> HttpResponse:  # noqa: ARG001
    """The message's own bytes, as a file: never as a page of this site."""
    row = _event_of(customer, session_id, event_id)
    name = f"message-{row.sequence}.{'bin' if row.is_base64 else 'json'}"
    return HttpResponse(
        message_view.content(row),
        content_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@member_page
def account(request: HttpRequest, customer: Customer) -> HttpResponse:
    """What the customer has: tier, quota, retention, and the keys that may send."""
    at = now()
    figures = overview(customer, at=at)
    context = {
        "customer": customer,
        "section": "account",
        "overview": figures,
        "entitlement": figures.entitlement,
        "features": sorted(figures.entitlement.features),
        "keys": api_keys.list_keys(customer)[: api_keys.MAX_LIVE_KEYS],
        "now": at,
    }
    return render(request, "dashboard/account.html", context)


def _session_of(customer: Customer, session_id: str) -> SessionRow:
    found = queries.session(customer.pk, session_id)
    if found is None:
        raise NotFound("there is no such session", "it may have been deleted when its retention ended")
    return found


def _event_of(customer: Customer, session_id: str, event_id: UUID) -> EventRow:
    found = queries.event(customer.pk, event_id)
    if found is None or found.session_id != session_id:
        raise NotFound("there is no such message", "it may have been deleted when its retention ended")
    return found


def _session_context(
    request: HttpRequest, customer: Customer, session_id: str, at: datetime, found: SessionRow | None = None
) -> dict[str, object]:
    """The session and the rows after the `after` of the address; at the end of the list, where to poll on."""
    found = found or _session_of(customer, session_id)
    after = request.GET.get("after") or None
    page = queries.session_exchanges(customer.pk, session_id, after=after, limit=EXCHANGES_PER_PAGE)
    return {
        "customer": customer,
        "session": found,
        "lasted": found.last_at - found.started_at,
        "rows": timeline.rows(page.rows, started_at=found.started_at, now=at),
        "after": after,
        "next": page.next,
        "place": timeline.place(page.rows[-1]) if page.rows else after or "",
        "seen": _seen(found, at),
        "poll_seconds": 2 if at - found.last_at < LIVELY else 15,
        "is_live": session_list.is_live(found, at),
        "now": at,
    }


def _seen(found: SessionRow, at: datetime) -> str:
    """What a page must repeat to be told that nothing changed."""
    return f"{found.events}.{at - found.last_at < LIVELY:d}.{session_list.is_live(found, at):d}"


def _watched(request: HttpRequest) -> list[UUID]:
    """The requests the page still waits for. What is no id of ours is nothing to wait for."""
    given = request.GET.getlist("waiting")[:MAX_WATCHED]
    return [UUID(text) for text in given if timeline.IS_ID.fullmatch(text)]


def _exchange_context(customer: Customer, session_id: str, event_id: UUID) -> dict[str, object]:
    at = now()
    found = _session_of(customer, session_id)
    exchanges = queries.exchanges(customer.pk, session_id, [event_id])
    if not exchanges:
        raise NotFound("there is no such message", "it may have been deleted when its retention ended")
    row = timeline.row(_from_its_request(customer, exchanges[0]), started_at=found.started_at, now=at)
    return {"customer": customer, "session": found, "row": row, "now": at}


def _from_its_request(customer: Customer, exchange: Exchange) -> Exchange:
    """For an answer, the exchange it ends: its correlation is its request's id, where the recorder is ours."""
    first = exchange.first
    if first.type not in queries.ANSWERS or not timeline.IS_ID.fullmatch(first.correlation_id):
        return exchange
    whole = queries.exchanges(customer.pk, first.session_id, [UUID(first.correlation_id)])
    return next((found for found in whole if first in found.answers), exchange)
