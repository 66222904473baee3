"""The pages of `/app/`. A view decodes the request, asks the rooms below, and fills a template.

Live parts are polled: the page says what it has seen, and the answer is 204 and nothing while that is still so.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render

from core.clock import now
from core.errors import NotFound
from customers.models import Customer
from dashboard import message_view, session_filter, session_list, session_page, session_replay, timeline
from dashboard.boundary import member_page
from dashboard.exchanges import from_its_request
from dashboard.whole_page import filled
from events import queries
from events.overview_queries import RANGES
from events.rows import EventRow, SessionRow

MAX_WATCHED = 50  # open requests whose answers one page waits for
LIVELY = timedelta(minutes=10)  # how long after its last message a session is polled often


@member_page
def sessions(request: HttpRequest, customer: Customer) -> HttpResponse:
    """All sessions, or those the address names, newest first."""
    context = _list_context(request, customer, now()) | {"section": "sessions", "ranges": RANGES.values()}
    return render(request, "dashboard/sessions.html", context)


@member_page
def sessions_live(request: HttpRequest, customer: Customer) -> HttpResponse:
    """The list again, if it differs from the one the page shows."""
    context = _list_context(request, customer, now())
    if request.GET.get("seen") == context["listed"].seen:
        return HttpResponse(status=204)
    return render(request, "dashboard/parts/session_table.html", context)


@member_page
def session(request: HttpRequest, customer: Customer, session_id: str) -> HttpResponse:
    """One session: what it was, and its exchanges as a waterfall."""
    context = _read_session(request, customer, session_id)
    if context["batch"].next:
        last = session_page.EXCHANGES_PER_PAGE
        context["latest"] = queries.session_tail(customer.pk, session_id, last=last)
    return render(request, "dashboard/session.html", context | {"section": "sessions"})


@member_page
def session_more(request: HttpRequest, customer: Customer, session_id: str) -> HttpResponse:
    """The next batch, for the page that has the ones before."""
    return render(request, "dashboard/parts/more.html", _read_session(request, customer, session_id))


@member_page
def session_live(request: HttpRequest, customer: Customer, session_id: str) -> HttpResponse:
    """What is new in the page's last batch, and the rows whose answer came, since the page last asked."""
    at = now()
    found = _session_of(customer, session_id)
    if request.GET.get("seen") == _seen(found, at):
        return HttpResponse(status=204)
    after, place = request.GET.get("after") or None, request.GET.get("place") or None
    news = session_page.news(customer.pk, found, after=after, place=place, watched=_watched(request), at=at)
    context = _session_context(customer, found, news.batch, at) | {"news": news}
    return render(request, "dashboard/parts/session_live.html", context)


@member_page
def replay(request: HttpRequest, customer: Customer, session_id: str, form: str) -> StreamingHttpResponse:  # noqa: ARG001
    """The whole session as a file to play again."""
    found = _session_of(customer, session_id)
    name = session_replay.file_name(found, form)
    return StreamingHttpResponse(
        session_replay.stream(customer.pk, found, form),
        content_type=session_replay.FORMATS[form],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


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
    found = _session_of(customer, session_id) if session_id else None
    section = "sessions" if found else "events"
    return filled(request, "dashboard/message.html", view, customer=customer, section=section, session=found)


@member_page
def message_whole(request: HttpRequest, customer: Customer, session_id: str, event_id: UUID) -> HttpResponse:
    """One whole message, to stand where its beginning stood."""
    view = message_view.of_whole(_event_of(customer, session_id, event_id))
    return filled(request, "dashboard/parts/message_body.html", view)


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


def _list_context(request: HttpRequest, customer: Customer, at: datetime) -> dict[str, Any]:
    asked = session_filter.of(request.GET.dict(), at=at)
    listed = session_list.read(customer.pk, asked, before=request.GET.get("before"), at=at)
    return {"customer": customer, "listed": listed, "asked": asked, "now": at}


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


def _read_session(request: HttpRequest, customer: Customer, session_id: str) -> dict[str, Any]:
    """The batch behind the `after` of the address."""
    at, found = now(), _session_of(customer, session_id)
    batch = session_page.read(customer.pk, found, after=request.GET.get("after") or None, at=at)
    return _session_context(customer, found, batch, at)


def _session_context(customer: Customer, found: SessionRow, batch: session_page.Batch, at: datetime) -> dict[str, Any]:
    """A session and what is shown of it; at its end, how to poll on."""
    return {
        "customer": customer,
        "session": found,
        "lasted": found.last_at - found.started_at,
        "batch": batch,
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
    row = timeline.row(from_its_request(customer, exchanges[0]), started_at=found.started_at, now=at)
    base = session_page.address(session_id)
    return {"customer": customer, "session": found, "row": row, "base": base, "now": at}
