"""An author's pages: every submission of the organisation, its place in the queue, every finding, what may be done.

    /app/plugins/submissions                       the list, newest first
    /app/plugins/submissions/rev_eOZ9P8GqLnaonc88  one: what was found and decided, and what its author may do

Members see; whoever is not a viewer may withdraw and appeal (`dashboard.permits`). Who reviewed is not
shown: what they said is.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from core.clock import now
from customers.models import Customer
from customers.permissions import Permission
from dashboard.boundary import may, member_act, member_page
from plugins_registry import appeals, queries, withdrawal
from plugins_registry.lifecycle import TRANSITIONS, Action, State
from plugins_registry.models import Finding, Revision, Severity
from plugins_registry.reasons import REASONS
from plugins_registry.source_pages import visible

_TONES = {
    State.PUBLISHED: "good",
    State.CHANGES_REQUESTED: "warn",
    State.QUARANTINED: "warn",
    State.YANKED: "warn",
    State.INVALID: "bad",
    State.REJECTED: "bad",
    State.BLOCKED: "bad",
}
_GRAVEST_FIRST = tuple(reversed(Severity.values))


@member_page
def listed(request: HttpRequest, customer: Customer) -> HttpResponse:
    """The organisation's submissions, a page at a time."""
    at = now()
    page = queries.submission_page(
        customer.pk, plugin="", state="", limit=None, cursor=request.GET.get("before") or None
    )
    places = queries.places_in_queue(page.rows)
    context = {
        "customer": customer,
        "section": "submissions",
        "rows": [(row, places.get(row.pk), _tone(row)) for row in page.rows],
        "next": page.next,
        "median": queries.median_wait(at=at),
        "now": at,
    }
    return render(request, "dashboard/submissions.html", context)


@member_page
def shown(request: HttpRequest, customer: Customer, public_id: str) -> HttpResponse:
    """One submission, with everything that was found."""
    at, revision = now(), queries.submission(customer.pk, public_id)
    context = {
        "customer": customer,
        "section": "submissions",
        "revision": revision,
        "tone": _tone(revision),
        "place": queries.place_in_queue(revision),
        "median": queries.median_wait(at=at),
        "findings": _findings(revision),
        "checks": revision.check_runs.all(),
        "decisions": [(each, REASONS.get(each.reason_code, "")) for each in revision.reviews.filter(latest=True)],
        "appeals": revision.appeals.all(),
        "history": revision.changes.order_by("id"),
        "may_act": may(request, Permission.WORK),
        "may_withdraw": Action.WITHDRAW in TRANSITIONS[State(revision.state)],
        "may_appeal": _may_appeal(revision),
        "now": at,
    }
    return render(request, "dashboard/submission.html", context)


@member_act
def withdraw(request: HttpRequest, customer: Customer, public_id: str) -> HttpResponse:
    """Take it back."""
    revision = queries.submission(customer.pk, public_id)
    withdrawal.withdraw(revision, actor=_actor(request), at=now())
    return redirect("dashboard:submission", public_id=public_id)


@member_act
def appeal(request: HttpRequest, customer: Customer, public_id: str) -> HttpResponse:
    """Say why a rejection is wrong."""
    revision = queries.submission(customer.pk, public_id)
    appeals.appeal(revision, request.POST.get("text", ""), actor=_actor(request), at=now())
    return redirect("dashboard:submission", public_id=public_id)


def _may_appeal(revision: Revision) -> bool:
    if revision.state != State.REJECTED or revision.appeals.filter(outcome="").exists():
        return False
    return revision.appeals.count() < appeals.MAX_APPEALS


def _actor(request: HttpRequest) -> str:
    return f"user:{request.user.get_username()}"


def _tone(revision: Revision) -> str:
    return _TONES.get(State(revision.state), "")


def _findings(revision: Revision) -> list[dict[str, object]]:
    """Every one, the gravest first, with nothing invisible in what was quoted from the source."""
    rows = sorted(revision.findings.all(), key=lambda each: (_GRAVEST_FIRST.index(each.severity), each.pk))
    return [_finding(row) for row in rows]


def _finding(row: Finding) -> dict[str, object]:
    tones = {"critical": "bad", "high": "bad", "medium": "warn"}
    place = visible(row.file) + (f":{row.line}" if row.line else "")
    return {
        "row": row,
        "tone": tones.get(row.severity, ""),
        "place": place,
        "message": visible(row.message),
        "hint": visible(row.hint),
    }
