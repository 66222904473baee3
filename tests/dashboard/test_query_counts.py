"""Every page asks the database as many questions for thirty rows of everything as for one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.urls.converters import IntConverter

from alerts import destinations, rules
from alerts.models import Delivery, Destination, Incident, Rule
from core.clock import now as present
from customers import accounts, api_keys, invitations, machines
from customers.authentication import Principal
from customers.machines import MachineReport, PluginReport
from customers.models import Customer, Machine, Member
from dashboard.download import PAGE_EVENTS
from events import queries
from events.definitions_models import ToolDefinition
from plugins_registry.models import Plugin, Revision
from tests.dashboard.conftest import PASSWORD
from tests.dashboard.test_roles import routes
from tests.dashboard.traffic import Talk
from tests.plugins_registry.console.world import World, manifest
from tests.plugins_registry.storing import moved

MANY = 30
MOST = 26  # questions of one page; six are the gate's
OWNER = "user:owner@acme.example"
TOOL = {"server": "mcp-server-git", "name": "tool_0"}
ASKED: dict[str, dict[str, str]] = {
    "tool": TOOL,
    "tool_server": {"name": TOOL["server"]},
    "alert_rule_new": {"kind": "errors"},
}
"""What stands behind the `?` of a page that needs it."""
ELSEWHERE = {
    "login",
    "logout",
    "theme",
    "join",
    "join_followed",
    "sign_up",
    "settings",
    "account",
    "first_event",
}
"""Without a customer's rows: the way in and out, what only leads to another address, and one event."""
FILES = ("export_csv", "export_jsonl")
"""All events, read a page at a time."""

Page = tuple[str, str]
"""(name, address)"""


@pytest.fixture
def world(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    moved(monkeypatch, tmp_path / "registry")
    return World()


def fill(customer: Customer, world: World, now: datetime, numbers: range) -> None:
    """A row of everything for each of `numbers`, by the acts that make them."""
    owner = Member.objects.filter(customer=customer, role=Member.Role.OWNER)[0]
    who = Principal(customer.pk, customer.public_id, "", "pro", frozenset(), None, 90, frozenset(), 1, "key_1")
    for number in numbers:
        _talk(customer, now, number)
        accounts.add_member(customer, f"member-{number}@acme.example", PASSWORD, "viewer", at=now)
        invitations.invite(customer, f"new-{number}@acme.example", "viewer", by=owner, at=now)
        if number < api_keys.MAX_LIVE_KEYS:
            api_keys.issue(customer, f"laptop {number}", at=now, actor=OWNER)
        plugins = [PluginReport(f"tool-{each}", "1.2.0", "running") for each in range(number + 1)]
        machines.report(who, MachineReport(f"m{number}", name=f"laptop-{number}", plugins=plugins), at=now)
        _alerts(customer, owner, now, number)
        revision = world.published(world.revision(manifest(f"tool-{number}")))
        world.build(revision)
        own = world.to_review(world.revision(manifest(f"own-{number}"), owner=customer))
        for _ in numbers:
            world.finding(own, fingerprint=f"{number}")


def _talk(customer: Customer, now: datetime, number: int) -> None:
    """A session with a call of each of so many tools, whose definitions are new each time."""
    talk = Talk(f"s-{number}", started_at=now - timedelta(hours=number, minutes=1))
    tools = [{"name": f"tool_{each}", "description": f"Version {number}."} for each in range(number + 1)]
    talk.answer(talk.request("tools/list"), {"tools": tools})
    for each in range(number + 1):
        asked = talk.request("tools/call", {"name": f"tool_{each}"}, tool=f"tool_{each}")
        talk.answer(asked, error={"code": -32602, "message": "no"})
    talk.store(customer)


def _alerts(customer: Customer, owner: Member, now: datetime, number: int) -> None:
    if number >= destinations.MAX_DESTINATIONS:
        return
    place = destinations.add_email(customer, f"People {number}", [owner.pk], at=now, actor=OWNER)
    rule = rules.create(customer, rules.defaults("errors"), at=now, actor=OWNER)
    rule.destinations.set(Destination.objects.filter(customer=customer))
    copied = {"opened_at": now, "value": 1, "worst": 1, **rules.copied(rule)}
    for resolved_at in (now, None):
        incident = Incident.objects.create(customer=customer, rule=rule, resolved_at=resolved_at, **copied)
        Delivery.objects.create(
            customer=customer,
            destination=place,
            incident=incident,
            about=Delivery.About.OPENED,
            address="owner@acme.example",
            next_at=now,
            give_up_at=now,
            created_at=now,
        )


def parts(customer: Customer) -> dict[str, Any]:
    """The ids in addresses, of the rows that were there first."""
    event = queries.session_events(customer.pk, "s-0", limit=1).rows[0]
    incident = Incident.objects.filter(customer=customer).earliest("id")
    published = Plugin.objects.get(name="tool-0")
    return {
        "event_id": event.id,
        "session_id": "s-0",
        "plugin_id": published.public_id,
        "revision_id": Revision.objects.get(version__plugin=published).public_id,
        "machine_id": Machine.objects.filter(customer=customer).earliest("id").public_id,
        "definition_id": ToolDefinition.objects.filter(customer_id=customer.pk).earliest("id").pk,
        "incident": incident.public_id,
        "alert_rule": Rule.objects.filter(customer=customer).earliest("id").public_id,
        "alert_message": Delivery.objects.filter(customer=customer).earliest("id").public_id,
        "submission": Revision.objects.filter(version__plugin__owner=customer).earliest("id").public_id,
    }


def pages(customer: Customer, browser: Client) -> list[Page]:
    """Every address that is read, about rows of the customer's."""
    ids, found = parts(customer), []
    for route in routes():
        name = str(route.name)
        if name in ELSEWHERE:
            continue
        known: dict[str, Any] = {}
        for part, kind in route.pattern.converters.items():
            value = ids.get(name if part == "public_id" else part, 0)
            known[part] = 0 if isinstance(kind, IntConverter) and not isinstance(value, int) else value
        address = reverse(f"dashboard:{name}", kwargs=known)
        if browser.get(address).status_code != 405:  # an act
            found.append((name, f"{address}?{urlencode(ASKED.get(name, {}))}"))
    return found


def counts(browser: Client, every: list[Page]) -> dict[str, int]:
    """How many questions each page asks. Pages are whole: what a file streams is read to its end."""
    found = {}
    for name, address in every:
        with CaptureQueriesContext(connection) as captured:
            answer = browser.get(address)
            assert answer.status_code in (200, 204), (name, address, answer.status_code)
            assert b"".join(answer) if answer.streaming else True
        found[name] = len(captured)
    return found


def test_no_page_asks_more_for_thirty_rows_of_everything_than_for_one(
    customer: Customer, sign_in: Callable[..., Client], world: World
) -> None:
    now = present()
    browser = sign_in(customer)
    fill(customer, world, now, range(1))
    every = pages(customer, browser)
    assert len(every) > 40
    counts(browser, every)  # what is found out once a process
    few = counts(browser, every)
    fill(customer, world, now, range(1, MANY))
    many = counts(browser, every)
    stored = queries.totals(customer.pk, since=now - timedelta(days=3)).events
    allowed = {name: few[name] + (stored // PAGE_EVENTS + 1 if name in FILES else 0) for name in many}
    assert {name: (few[name], many[name]) for name in many if many[name] > allowed[name]} == {}
    assert max(count for name, count in many.items() if name not in FILES) <= MOST, many
