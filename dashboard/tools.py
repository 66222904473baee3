"""`/app/tools`: servers and their tools, how they do, what their definitions are, were, and who said that is good.

    /app/tools?server=git&state=open&sort=errors&range=7d     the table
    /app/tools/server?name=git                                one server
    /app/tools/tool?server=git&name=git_log&compare=31        one tool, and what a definition of it changed

Names are of any shape, so they stand behind the `?`. A definition that changed waits until somebody who may work here
says that it is good; the audit log has it.
"""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode

from core.clock import now
from core.errors import InvalidRequest, NotFound
from customers.members import actor_of
from customers.models import Customer
from customers.permissions import Permission
from dashboard import boundary, charts, tools_definition, tools_difference, tools_filter, tools_list
from dashboard.asked import text
from dashboard.boundary import may, member_act, member_page
from dashboard.json_view import visible
from events import definitions, definitions_queries, tool_figures
from events.definitions_queries import DefinitionRow
from events.overview_queries import Range
from events.tool_figures import TOOL_RANGES, Course

_MAX_ID = 2**63 - 1  # what a bigint holds
_NO_SERVER = "nothing was recorded of it, or its retention has ended"


@member_page
def index(request: HttpRequest, customer: Customer) -> HttpResponse:
    """Every server and tool."""
    at, asked = now(), tools_filter.of(request.GET.dict())
    listing = tools_list.read(customer.pk, asked, at=at)
    context = _listed(customer, asked, listing, at) | {"here": reverse("dashboard:tools")}
    return render(request, "dashboard/tools/index.html", context)


@member_page
def server(request: HttpRequest, customer: Customer) -> HttpResponse:
    """One server: how it does, its tools."""
    at, name = now(), text(request.GET.dict(), "name")
    asked = tools_filter.of({**request.GET.dict(), "server": ""})
    row = next(iter(definitions_queries.servers(customer.pk, name=name)), None)
    if row is None and not tool_figures.has_any(customer.pk, name):
        raise NotFound("there is no such server", _NO_SERVER)
    listing = tools_list.read(customer.pk, asked, at=at, server=name)
    course = tool_figures.course(customer.pk, asked.range, at=at, server=name)
    here = f"{reverse('dashboard:tool_server')}?{urlencode({'name': name})}"
    context = _listed(customer, asked, listing, at) | _course(course, asked.range)
    context |= {
        "name": name,
        "shown_name": visible(name),
        "title": tools_definition.spelled(name),
        "server": row,
        "here": here,
    }
    context |= {"may_work": may(request, Permission.WORK)}
    return render(request, "dashboard/tools/server.html", context)


@member_page
def tool(request: HttpRequest, customer: Customer) -> HttpResponse:
    """One tool: how it does, its definition, what it was."""
    sent, at = request.GET.dict(), now()
    of_server, name, asked = text(sent, "server"), text(sent, "name"), tools_filter.range_of(sent)
    row = definitions_queries.tool(customer.pk, of_server, name)
    if row is None and not (name and tool_figures.has_any(customer.pk, of_server, name)):
        raise NotFound("there is no such tool", _NO_SERVER)
    course = tool_figures.course(customer.pk, asked, at=at, server=of_server, tool=name)
    history = definitions_queries.history(customer.pk, of_server, name)
    compared = _compared(history, sent.get("compare", ""))
    wanted = [*(each.id for each in history[:1]), *((compared.id, compared.before_id) if compared else ())]
    bodies = definitions_queries.bodies(customer.pk, wanted)
    context = _course(course, asked) | {
        "customer": customer,
        "section": "tools",
        "now": at,
        "asked": asked,
        "ranges": TOOL_RANGES.values(),
        "of_server": of_server,
        "name": name,
        "shown_server": visible(of_server),
        "shown_name": visible(name),
        "title": tools_definition.spelled(name),
        "row": row,
        "history": history,
        "definition": tools_definition.read(history[0], bodies[history[0].id]) if history else None,
        "compared": compared,
        "difference": _difference(compared, bodies),
        "most_places": tools_difference.MAX_PLACES,
        "may_work": may(request, Permission.WORK),
        "here": _address(of_server, name),
    }
    return render(request, "dashboard/tools/tool.html", context)


@member_page
def definition(request: HttpRequest, customer: Customer, definition_id: int) -> HttpResponse:  # noqa: ARG001
    """A definition's canonical JSON, as a file."""
    body = definitions_queries.bodies(customer.pk, [min(definition_id, _MAX_ID)]).get(definition_id)
    if body is None:
        raise NotFound("there is no such definition", _NO_SERVER)
    response = HttpResponse(body, content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="definition-{definition_id}.json"'
    return response


@member_act
def accept(request: HttpRequest, customer: Customer, change_id: int) -> HttpResponse:
    """A change is good."""
    actor = actor_of(boundary.membership(request))
    change = definitions.accept(customer, min(change_id, _MAX_ID), actor=actor, at=now())
    return redirect(_address(change.server, change.tool))


@member_act
def accept_all(request: HttpRequest, customer: Customer) -> HttpResponse:
    """Every change of a server that its page showed is good."""
    name, until = text(request.POST.dict(), "name"), _number("until", request.POST.get("until", ""))
    actor = actor_of(boundary.membership(request))
    if not definitions.accept_all(customer, name, until=until or 0, actor=actor, at=now()):
        raise NotFound(
            "no change of this server waits", "somebody may have accepted it before you: open its page again"
        )
    return redirect(f"{reverse('dashboard:tool_server')}?{urlencode({'name': name})}")


def _listed(
    customer: Customer, asked: tools_filter.Asked, listing: tools_list.Listing, at: datetime
) -> dict[str, object]:
    return {
        "customer": customer,
        "section": "tools",
        "now": at,
        "asked": asked,
        "ranges": TOOL_RANGES.values(),
        "states": tools_filter.STATES.items(),
        "sorts": tools_filter.SORTS.items(),
        "listing": listing,
        "before": asked.to(page=str(listing.page - 1)) if listing.page > 1 else None,
        "after": asked.to(page=str(listing.page + 1)) if listing.page < listing.pages else None,
    }


def _course(course: Course, asked: Range) -> dict[str, object]:
    """Figures, and (question, name, drawing) of the charts."""
    drawn = [
        ("How much was it called, and what failed?", "Calls", charts.traffic(course.points, asked.step)),
        ("How long did answers take?", "Latency", charts.latency(course.points, asked.step)),
    ]
    return {"course": course, "charts": drawn}


def _compared(history: list[DefinitionRow], asked: str) -> DefinitionRow | None:
    """The definition whose change is shown: the one asked for, else the newest that waits, else the newest."""
    changed = [row for row in history if row.change_id is not None]
    if asked:
        wanted = _number("compare", asked)
        found = next((row for row in changed if row.id == wanted), None)
        if found is None:
            raise NotFound("there is no such change of this tool", "open the tool's page again")
        return found
    newest = sorted(changed, key=lambda row: (row.is_open, row.first_seen))
    return newest[-1] if newest else None


def _difference(compared: DefinitionRow | None, bodies: dict[int, str]) -> dict[str, object] | None:
    """`description` with both texts marked, `places` of everything else; nothing where there is nothing before."""
    if compared is None or compared.before_id is None or compared.before_id not in bodies:
        return None
    before, after = (tools_definition.fields_of(bodies[each]) for each in (compared.before_id, compared.id))
    texts = [tools_definition.words_of(each, "description") for each in (before, after)]
    return {
        "description": tools_difference.words(*texts) if texts[0] != texts[1] else "",
        "places": tools_difference.places(before, after),
    }


def _number(name: str, given: str) -> int | None:
    if not given:
        return None
    if not given.isascii() or not given.isdigit() or len(given) > 18:
        raise InvalidRequest(f"`{name}` is `{given[:20]}`", "it is a number that a page here gave")
    return int(given)


def _address(of_server: str, name: str) -> str:
    return f"{reverse('dashboard:tool')}?{urlencode({'server': of_server, 'name': name})}"
