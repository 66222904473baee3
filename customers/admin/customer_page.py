"""What the console's page of one customer shows of this room: the facts, members, keys, machines, the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.urls import reverse
from django.utils.http import urlencode

from customers import invitations, machines, members, usage
from customers.admin.sections import Cell, Section, add
from customers.entitlements import Entitlement
from customers.models import ApiKey, AuditEntry, Customer
from customers.queries import entitlement_of
from customers.states import State

MOST = 20  # rows of a section; all of them are a link away
_TONES = {
    "active": "good",
    "trialing": "good",
    "past_due": "warn",
    "unpaid": "bad",
    "paused": "warn",
    "canceled": "bad",
}


class Fact(NamedTuple):
    name: str
    value: object
    badge: str = ""


def facts(customer: Customer, *, at: datetime) -> list[Fact]:
    """What it is and may use, as of now. Five small queries."""
    entitlement = entitlement_of(customer, at=at)
    used = usage.events_today(customer.pk, at=at)
    return [
        Fact("Id", customer.public_id),
        Fact("Tier", _tier(customer, entitlement)),
        Fact("Subscription", State(entitlement.status).label, _TONES[entitlement.status]),
        Fact("Since", customer.subscription.state_since),
        Fact("Ends by itself", entitlement.ends_at or "never"),
        Fact("Events today", f"{used:,} of {_limit(entitlement)}", _used(used, entitlement)),
        Fact("Events are kept", f"{entitlement.retention_days} days"),
        Fact("Features", ", ".join(sorted(entitlement.features)) or "none"),
        Fact("Customer since", customer.created_at),
        *([Fact("Suspended", customer.suspended_at, "bad")] if customer.suspended_at else []),
    ]


def _tier(customer: Customer, entitlement: Entitlement) -> str:
    subscribed = customer.subscription.tier.name
    return (
        subscribed if subscribed == entitlement.tier_name else f"{subscribed}, and may use {entitlement.tier_name} now"
    )


def _limit(entitlement: Entitlement) -> str:
    return "no limit" if entitlement.events_per_day is None else f"{entitlement.events_per_day:,}"


def _used(used: int, entitlement: Entitlement) -> str:
    return "bad" if entitlement.events_per_day is not None and used >= entitlement.events_per_day else ""


def _members(customer: Customer, at: datetime) -> Section:
    rows = [
        [
            Cell(member.user.get_username(), reverse("admin:customers_member_change", args=(member.pk,))),
            Cell(member.role),
            Cell(member.created_at),
            Cell(member.user.last_login or "never"),
        ]
        for member in members.listed(customer)[: MOST + 1]
    ]
    if len(rows) > MOST:
        everyone = f"{reverse('admin:customers_member_changelist')}?{urlencode({'q': customer.public_id})}"
        rows = [*rows[:MOST], [Cell("All of them", everyone), Cell("…"), Cell("…"), Cell("…")]]
    rows += [
        [Cell(each.email), Cell(f"{each.role}, invited", badge="plain"), Cell(each.created_at), Cell("–")]
        for each in invitations.pending(customer)[:MOST]
        if each.expires_at > at
    ]
    add_one = f"{reverse('admin:customers_member_add')}?{urlencode({'customer': customer.pk})}"
    return Section("Members", ("E-mail", "Role", "Since", "Last sign-in"), rows, "Nobody signs in yet.", add_one, "Add")


def _keys(customer: Customer, at: datetime) -> Section:
    found = ApiKey.objects.filter(customer=customer).order_by("revoked_at", "-id")[:MOST]
    rows = [
        [
            Cell(key.name, reverse("admin:customers_apikey_change", args=(key.pk,))),
            Cell(f"{key.prefix}…"),
            Cell(", ".join(key.scopes)),
            Cell(key.last_used_at or "never"),
            _key_state(key, at),
        ]
        for key in found
    ]
    issue = f"{reverse('admin:customers_apikey_add')}?{urlencode({'customer': customer.pk})}"
    columns = ("Name", "Key", "May", "Last used", "State")
    return Section("API keys", columns, rows, "No key was issued yet.", issue, "Issue a key")


def _key_state(key: ApiKey, at: datetime) -> Cell:
    if key.revoked_at:
        return Cell("revoked", badge="bad")
    if key.expires_at and key.expires_at <= at:
        return Cell("expired", badge="plain")
    return Cell("being replaced", badge="warn") if key.replaced_by_id else Cell("active", badge="good")


def _machines(customer: Customer, at: datetime) -> Section:
    rows = [
        [
            Cell(str(each), reverse("admin:customers_machine_change", args=(each.pk,))),
            Cell(each.client_version or "not told"),
            Cell(each.os or "not told"),
            Cell(len(each.plugins), number=True),
            Cell(each.last_seen_at, badge="warn" if at - each.last_seen_at > machines.AWAY_AFTER else ""),
        ]
        for each in machines.listed(customer)[:MOST]
    ]
    everyone = f"{reverse('admin:customers_machine_changelist')}?{urlencode({'q': customer.public_id})}"
    columns = ("Machine", "Client", "System", "Plugins", "Last seen")
    return Section("Machines", columns, rows, "No client asked for a lease yet.", everyone, "All")


def _audit(customer: Customer, at: datetime) -> Section:  # noqa: ARG001
    found = AuditEntry.objects.filter(customer_public_id=customer.public_id).order_by("-number")[:MOST]
    rows = [
        [
            Cell(each.at),
            Cell(each.actor),
            Cell(each.action, reverse("admin:customers_auditentry_change", args=(each.pk,))),
            Cell(each.subject),
        ]
        for each in found
    ]
    everything = f"{reverse('admin:customers_auditentry_changelist')}?{urlencode({'q': customer.public_id})}"
    return Section("Audit log", ("When", "Who", "What", "About"), rows, "Nothing yet.", everything, "All")


for _place, _provider in ((10, _members), (20, _keys), (30, _machines), (90, _audit)):
    add(_place, _provider)
