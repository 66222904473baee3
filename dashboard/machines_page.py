"""`/app/settings/machines`: which clients ask in this customer's name, what each runs, and removing one.

Everybody of the customer sees them; who may manage keys may remove one, because that is what removing takes away.
"""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from core.clock import now
from customers import api_keys, machines
from customers.members import actor_of
from customers.models import Customer, Machine
from customers.permissions import Permission
from dashboard import boundary, plugin_words
from dashboard.boundary import member_act, member_page


@member_page
def listed(request: HttpRequest, customer: Customer) -> HttpResponse:
    """The machines, the last seen first."""
    at = now()
    rows = list(machines.listed(customer)[: machines.MOST_SHOWN])
    keys = machines.keys_of(customer, rows)
    context = {
        "customer": customer,
        "section": "settings",
        "page": "machines",
        "rows": [
            (row, _unwell(row), keys.get(row.key_id), at - row.last_seen_at > machines.AWAY_AFTER) for row in rows
        ],
        "more": machines.listed(customer).count() - len(rows) if len(rows) == machines.MOST_SHOWN else 0,
        "now": at,
    }
    return render(request, "dashboard/settings/machines.html", context)


@member_page
def shown(request: HttpRequest, customer: Customer, machine_id: str) -> HttpResponse:
    """One machine and its plugins."""
    at, row = now(), machines.get(customer, machine_id)
    key = machines.keys_of(customer, [row]).get(row.key_id)
    context = {
        "customer": customer,
        "section": "settings",
        "page": "machines",
        "machine": row,
        "plugins": [(each, plugin_words.standing(each)) for each in machines.plugins_of(row)],
        "key": key,
        "key_works": key is not None and api_keys.works(key, at=at),
        "others": machines.others_with_its_key(row),
        "is_away": at - row.last_seen_at > machines.AWAY_AFTER,
        "may_manage": boundary.may(request, Permission.MANAGE_KEYS),
        "now": at,
    }
    return render(request, "dashboard/settings/machine.html", context)


@member_act
def remove(request: HttpRequest, customer: Customer, machine_id: str) -> HttpResponse:
    """Forget it, and with `revoke_key` refuse the key it came with."""
    revoke_key, actor = "revoke_key" in request.POST, actor_of(boundary.membership(request))
    gone = machines.remove(customer, machine_id, at=now(), actor=actor, revoke_key=revoke_key)
    messages.success(request, " ".join([f"{gone} is removed.", *_of_its_key(customer, gone, revoked=revoke_key)]))
    return redirect("dashboard:machines")


def _of_its_key(customer: Customer, gone: Machine, *, revoked: bool) -> list[str]:
    """What is true of it now; nothing where it has none, or one that was over before."""
    key = machines.keys_of(customer, [gone]).get(gone.key_id)
    if key is None:
        return []
    if revoked:
        return ["Its key is refused everywhere within a minute."]
    return ["Its key still works."] if api_keys.works(key, at=now()) else []


def _unwell(machine: Machine) -> int:
    """How many of its plugins do not run as they should."""
    return sum(not plugin_words.standing(each).is_well for each in machines.plugins_of(machine))
