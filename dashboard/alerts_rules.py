"""A rule's form, with what it would have done over the last day, and what is done to a rule.

/app/alerts/rules/new?kind=latency       a new one, with defaults
/app/alerts/rules/rul_…                  one there is
/app/alerts/rules/preview                POST: the same form with what was entered; nothing is stored
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from alerts import destinations, incidents, rules, words
from alerts.kinds import KINDS
from alerts.models import Rule
from alerts.preview import preview
from alerts.rules import COOLDOWNS, MUTES, Draft
from core.clock import now
from core.errors import ApiError, InvalidRequest
from customers.members import actor_of
from customers.models import Customer
from dashboard import boundary
from dashboard.boundary import member_act, member_page
from events.overview_queries import server_names

SHOWN_EPISODES, SHOWN_INCIDENTS, SHOWN_SERVERS = 5, 5, 50
_FIELDS = ("name", "server", "method", "tool", "threshold", "at_least", "quiet_from", "quiet_to")


@member_page
def new(request: HttpRequest, customer: Customer) -> HttpResponse:
    """The form of a new rule; without a kind, the kinds to choose from."""
    if "kind" not in request.GET:
        context = {
            "customer": customer,
            "section": "alerts",
            "page": "alerts",
            "kinds": KINDS.items(),
            "may_manage": True,
        }
        return render(request, "dashboard/alerts/kinds.html", context)
    draft = rules.defaults(request.GET["kind"])
    everybody = destinations.offered(customer).filter(disabled_at=None).values_list("public_id", flat=True)
    return _form(request, customer, draft, values_of(draft), set(everybody))


@member_page
def shown(request: HttpRequest, customer: Customer, public_id: str) -> HttpResponse:
    """The form of a rule there is."""
    rule = rules.get(customer, public_id)
    draft = Draft(**{name: getattr(rule, name) for name in Draft.__dataclass_fields__ if name != "destinations"})
    chosen = set(rule.destinations.values_list("public_id", flat=True))
    return _form(request, customer, draft, values_of(draft), chosen, rule=rule)


@member_act
def try_out(request: HttpRequest, customer: Customer) -> HttpResponse:
    """The form again, with what the rule as entered would have done."""
    rule = rules.get(customer, request.POST["rule"]) if request.POST.get("rule") else None
    return _entered(request, customer, rule, None)


@member_act
def add(request: HttpRequest, customer: Customer) -> HttpResponse:
    """Make a rule."""
    actor = actor_of(boundary.membership(request))
    return _entered(request, customer, None, lambda draft: rules.create(customer, draft, at=now(), actor=actor))


@member_act
def change(request: HttpRequest, customer: Customer, public_id: str) -> HttpResponse:
    """Give a rule other fields."""
    rule, actor = rules.get(customer, public_id), actor_of(boundary.membership(request))
    return _entered(request, customer, rule, lambda draft: rules.change(rule, draft, at=now(), actor=actor))


@member_act
def switch(request: HttpRequest, customer: Customer, public_id: str) -> HttpResponse:
    """On or off."""
    rule, on = rules.get(customer, public_id), request.POST.get("on") == "1"
    rules.switch(rule, on=on, at=now(), actor=actor_of(boundary.membership(request)))
    messages.success(request, f"“{rule.name}” is {'on' if on else 'off'}.")
    return redirect("dashboard:alerts")


@member_act
def mute(request: HttpRequest, customer: Customer, public_id: str) -> HttpResponse:
    """Tell nobody for a while; without a time, tell again."""
    rule, minutes = rules.get(customer, public_id), request.POST.get("minutes", "")
    if minutes and minutes not in MUTES:
        raise InvalidRequest(f"a rule is not muted for `{minutes[:20]}`", "choose one of the times offered")
    rules.mute(rule, int(minutes or 0), at=now(), actor=actor_of(boundary.membership(request)))
    messages.success(request, f"“{rule.name}” is {f'muted {MUTES[minutes]}' if minutes else 'no longer muted'}.")
    return redirect("dashboard:alerts")


@member_act
def delete(request: HttpRequest, customer: Customer, public_id: str) -> HttpResponse:
    """For good; its incidents stay."""
    rule = rules.get(customer, public_id)
    rules.delete(rule, at=now(), actor=actor_of(boundary.membership(request)))
    messages.success(request, f"“{rule.name}” is deleted. Its incidents stay.")
    return redirect("dashboard:alerts")


def values_of(draft: Draft) -> dict[str, str]:
    """What the form's fields begin with."""
    texts = {name: getattr(draft, name) for name in _FIELDS}
    found = {name: "" if value is None else str(value) for name, value in texts.items()}
    windows = {"window": str(draft.window_minutes), "cooldown": str(draft.cooldown_minutes)}
    return found | windows | {"threshold": f"{draft.threshold:.10g}"}


def _entered(
    request: HttpRequest, customer: Customer, rule: Rule | None, act: Callable[[Draft], object] | None
) -> HttpResponse:
    """Do `act` with the form as it was sent, or show it again: to try it out, or with what is wrong with it."""
    chosen = request.POST.getlist("destination")
    sent = {**request.POST.dict(), "kind": rule.kind if rule else request.POST.get("kind", "")}
    draft = rules.defaults(sent["kind"])
    try:
        draft = rules.parse(sent, customer, destinations=chosen)
        if act is not None:
            act(draft)
            messages.success(request, f"“{draft.name}” is saved. It is looked at from now on.")
            return redirect("dashboard:alerts")
    except ApiError as error:
        if error.status not in {400, 409}:
            raise
        return _form(request, customer, draft, sent, set(chosen), rule=rule, problem=error)
    return _form(request, customer, draft, values_of(draft), set(chosen), rule=rule)


def _form(
    request: HttpRequest,
    customer: Customer,
    draft: Draft,
    values: Mapping[str, str],
    chosen: Collection[str],
    *,
    rule: Rule | None = None,
    problem: ApiError | None = None,
) -> HttpResponse:
    at, facts = now(), KINDS[draft.kind]
    context = {
        "customer": customer,
        "section": "alerts",
        "page": "alerts",
        "rule": rule,
        "kind": draft.kind,
        "facts": facts,
        "values": values,
        "windows": [(str(minutes), words.span(minutes)) for minutes in facts.windows],
        "cooldowns": [(str(minutes), words.span(minutes)) for minutes in COOLDOWNS],
        "hours": [(str(hour), f"{hour:02d}:00") for hour in range(24)],
        "destinations": [(each, each.public_id in chosen) for each in destinations.offered(customer)],
        "servers": server_names(customer.pk, since=at - timedelta(days=30), most=SHOWN_SERVERS),
        "problem": problem,
        "preview": None if problem else _preview(customer, draft, at),
        "incidents": incidents.page(customer, rule=rule, limit=SHOWN_INCIDENTS).rows if rule else [],
        "is_muted": rule is not None and incidents.is_muted(rule, at),
        "mutes": MUTES,
        "may_manage": True,  # nobody else comes here
        "now": at,
    }
    return render(request, "dashboard/alerts/rule.html", context, status=problem.status if problem else 200)


def _preview(customer: Customer, draft: Draft, at: datetime) -> dict[str, object]:
    watch = rules.watch_of(draft)
    found = preview(customer, watch, at=at)
    row = Rule(kind=draft.kind)
    newest = list(reversed(found.episodes))[:SHOWN_EPISODES]
    return {
        "since": found.since,
        "times": len(found.episodes),
        "is_days": draft.kind == "quota",
        "is_short": draft.kind != "quota" and at - found.since < timedelta(hours=23),
        "episodes": [(each, words.value(row, each.value)) for each in newest],
        "more": len(found.episodes) - len(newest),
    }
