"""Every page of the dashboard and the heavy ones of the console, as `scripts/bench queries` requests them.

    pages = Pages(busiest, widest, newcomer)
    for name, ask in pages.all().items(): ask()        one request each; raises where the answer is no page

Where a page is about a session or an event, it is another one each time. Imported after Django is set up.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import models
from django.test import Client

from alerts.models import Delivery, Incident, Rule
from benchmarks import _busy_traffic as traffic
from benchmarks._event_load import TOOLS
from customers import accounts, device_codes
from customers.models import Customer, DeviceGrant, Machine, Member
from events import queries, session_queries
from events.definitions_models import ToolDefinition
from events.models import Session
from plugins_registry.models import Plugin, Revision

Ask = Callable[[], int]
"""Requests a page; how many bytes it had."""
DRAWN = 40  # sessions that the pages are about

BUSY = {
    "overview_1h": "/app/?range=1h",
    "overview_24h": "/app/?range=24h",
    "overview_7d": "/app/?range=7d",
    "overview_30d": "/app/?range=30d",
    "events": "/app/events",
    "events_by_direction": "/app/events?direction=response",
    "events_by_type": "/app/events?type=error",
    "events_by_method": "/app/events?method=tools/list",
    "events_of_a_tool": f"/app/events?tool={TOOLS[0]}&server=git&range=7d",
    "events_of_a_session": f"/app/events?session={traffic.LARGE_SESSION}",
    "events_with_errors": "/app/events?errors=1",
    "events_of_ten_years": "/app/events?from=2016-11-22T00:00&to=2036-11-22T00:00",
    "events_long_ago": "/app/events?from=2016-11-22T00:00&to=2017-11-22T00:00",
    "events_rare": "/app/events?tool=no-such-tool",
    "events_live": "/app/live/events?seen=0",
    "export_csv_begins": "/app/events/export.csv",
    "export_jsonl_begins": f"/app/events/export.jsonl?tool={TOOLS[0]}",
    "sessions": "/app/sessions",
    "sessions_of_a_server": "/app/sessions?server=git",
    "sessions_narrowed": "/app/sessions?server=git&client=bench&errors=1&range=30d",
    "sessions_rare": "/app/sessions?client=no-such-client",
    "sessions_of_ten_years": "/app/sessions?from=2016-11-22T00:00&to=2036-11-22T00:00",
    "sessions_live": "/app/live/sessions?seen=0",
    "session_large": f"/app/sessions/{traffic.LARGE_SESSION}",
    "tools_24h": "/app/tools",
    "tools_30d": "/app/tools?range=30d&sort=slow",
    "tool_server": "/app/tools/server?name=git&range=7d",
    "tool": f"/app/tools/tool?server=git&name={TOOLS[0]}&range=7d",
    "plugins": "/app/plugins",
    "plugins_search": "/app/plugins?q=no-such-plugin",
    "submissions": "/app/plugins/submissions",
    "alerts": "/app/alerts",
    "alerts_incidents": "/app/alerts/incidents",
    "alerts_kinds": "/app/alerts/rules/new",
    "alerts_rule_errors": "/app/alerts/rules/new?kind=errors",
    "alerts_rule_latency": "/app/alerts/rules/new?kind=latency",
    "alerts_rule_silence": "/app/alerts/rules/new?kind=silence",
    "alerts_rule_definition": "/app/alerts/rules/new?kind=definition",
    "alerts_rule_quota": "/app/alerts/rules/new?kind=quota",
    "alerts_destinations": "/app/alerts/destinations",
    "alerts_messages": "/app/alerts/messages",
    "security": "/app/settings/security",
    "members": "/app/settings/members",
    "keys": "/app/settings/keys",
    "machines": "/app/settings/machines",
    "redaction": "/app/settings/redaction",
    "usage": "/app/settings/usage",
    "device": "/app/device",
    "audit": "/app/settings/audit",
    "audit_of_an_actor": "/app/settings/audit?actor=member-7@",
    "audit_rare": "/app/settings/audit?actor=nobody-at-all",
    "audit_export_begins": "/app/settings/audit/export",
    "components": "/app/components",
}
WIDE = {
    "wide_overview_1h": "/app/?range=1h",
    "wide_overview_24h": "/app/?range=24h",
    "wide_overview_7d": "/app/?range=7d",
    "wide_overview_30d": "/app/?range=30d",
    "wide_tools_24h": "/app/tools",
    "wide_tools_7d": "/app/tools?range=7d",
    "wide_tools_30d": "/app/tools?range=30d&sort=slow",
    "wide_tools_last": "/app/tools?range=30d&sort=name&page=200",
    "wide_tools_search": "/app/tools?range=30d&q=tool_99",
    "wide_tools_open": "/app/tools?range=7d&state=open",
    "wide_tool_server": "/app/tools/server?name=gateway-0&range=7d",
    "wide_tool": "/app/tools/tool?server=gateway-0&name=tool_0&range=30d",
    "wide_alerts_rule": "/app/alerts/rules/new?kind=errors",
}
NEW = {"first_run": "/app/", "first_tools": "/app/tools", "first_sessions": "/app/sessions"}
CONSOLE = {
    "console_start": "/admin/",
    "console_customers": "/admin/customers/customer/",
    "console_audit": "/admin/customers/auditentry/",
    "console_machines": "/admin/customers/machine/",
    "console_logins": "/admin/customers/devicegrant/",
    "console_keys": "/admin/customers/apikey/",
    "console_members": "/admin/customers/member/",
    "console_subscriptions": "/admin/customers/subscription/",
    "console_signing_keys": "/admin/customers/signingkey/",
    "console_queue": "/admin/plugins_registry/revision/?stage=queue",
    "console_revisions": "/admin/plugins_registry/revision/?stage=all",
    "console_builds": "/admin/plugins_registry/customerbuild/",
    "console_plugins": "/admin/plugins_registry/plugin/",
    "console_quarantine": "/admin/events/quarantinedentry/",
    "console_inbox": "/admin/events/inboxentry/",
    "console_health": "/admin/health/",
}


class Pages:
    """The pages as their people see them: owners of three customers, and an operator."""

    def __init__(self, busiest: Customer, widest: Customer, newcomer: Customer, *, at: datetime) -> None:
        self.customer = busiest
        self.owner, self.wide, self.new = (_owner(each, at) for each in (busiest, widest, newcomer))
        self.operator = Client()
        self.operator.force_login(User.objects.create_superuser("operator", "operator@bench.example"))
        self._code = _waiting_login(at)
        chance = random.Random(2)
        names = Session.objects.filter(customer_id=busiest.pk, session_id__startswith="session-")
        found = list(names.exclude(session_id=traffic.LARGE_SESSION).values_list("session_id", flat=True))
        self._drawn = chance.sample(found, min(DRAWN, len(found)))
        self._choose = chance.choice

    def all(self) -> dict[str, Ask]:
        """Each by its name."""
        return {
            **{name: _get(self.owner, path) for name, path in BUSY.items()},
            **{name: _get(self.wide, path) for name, path in WIDE.items()},
            **{name: _get(self.new, path) for name, path in NEW.items()},
            **{name: _get(self.operator, path) for name, path in CONSOLE.items()},
            **self._of_a_session(),
            **self._of_the_large_message(),
            **self._further_pages(),
            **self._of_a_row(),
            **self._of_the_operator(),
        }

    def _of_a_session(self) -> dict[str, Ask]:
        number = self.customer.pk
        first = {each: queries.session_events(number, each, limit=1).rows[0].id for each in self._drawn}
        tails = {each: queries.session_tail(number, each, last=150) for each in self._drawn}

        def of(address: Callable[[str], str]) -> Ask:
            return lambda: _got(self.owner, address(self._choose(self._drawn)))

        base = "/app/sessions"
        return {
            "session": of(lambda each: f"{base}/{each}"),
            "session_end": of(lambda each: f"{base}/{each}?after={tails[each]}"),
            "session_more": of(lambda each: f"{base}/{each}/more?after={tails[each]}"),
            "session_live": of(lambda each: f"{base}/{each}/live?seen=0&waiting={first[each]}"),
            "exchange": of(lambda each: f"{base}/{each}/exchanges/{first[each]}"),
            "exchange_opened": of(lambda each: f"{base}/{each}/exchanges/{first[each]}/opened"),
            "message": of(lambda each: f"{base}/{each}/messages/{first[each]}"),
            "message_whole": of(lambda each: f"{base}/{each}/messages/{first[each]}/whole"),
            "message_download": of(lambda each: f"{base}/{each}/messages/{first[each]}/download"),
            "session_replay_jsonl_begins": of(lambda each: f"{base}/{each}/replay.jsonl"),
            "session_replay_txt_begins": of(lambda each: f"{base}/{each}/replay.txt"),
            "event": of(lambda each: f"/app/events/{first[each]}"),
            "event_opened": of(lambda each: f"/app/events/{first[each]}/opened"),
        }

    def _of_the_large_message(self) -> dict[str, Ask]:
        rows = queries.session_events(self.customer.pk, traffic.LARGE_SESSION, limit=traffic.LARGE_PLACE + 1).rows
        large, asked = rows[traffic.LARGE_PLACE], rows[traffic.LARGE_PLACE - 1]
        assert large.size > traffic.LARGE_BYTES // 2
        base = f"/app/sessions/{traffic.LARGE_SESSION}"
        paths = {
            "large_event": f"/app/events/{large.id}",
            "large_event_opened": f"/app/events/{large.id}/opened",
            "large_exchange_opened": f"{base}/exchanges/{asked.id}/opened",
            "large_message": f"{base}/messages/{large.id}",
            "large_message_whole": f"{base}/messages/{large.id}/whole",
            "large_message_download": f"{base}/messages/{large.id}/download",
            "large_replay_begins": f"{base}/replay.jsonl",
        }
        return {name: _get(self.owner, path) for name, path in paths.items()}

    def _further_pages(self) -> dict[str, Ask]:
        number, paths = self.customer.pk, {}
        for name, find in (("events", queries.recent_events), ("sessions", session_queries.sessions)):
            paths[f"{name}_next"] = f"/app/{name}?before={find(number, limit=50).next}"
        halfway = Session.objects.filter(customer_id=number).count() // 2
        paths["sessions_halfway"] = f"/app/sessions?before={session_queries.sessions(number, limit=halfway).next}"
        return {name: _get(self.owner, path) for name, path in paths.items()}

    def _of_a_row(self) -> dict[str, Ask]:
        plugin = Plugin.objects.get(name="plugin-0000")
        version = Revision.objects.filter(version__plugin=plugin).order_by("id")[0]
        definition = ToolDefinition.objects.filter(customer_id=self.customer.pk).latest("id")
        incident, message = self._last(Incident, resolved_at=None), self._last(Delivery)
        submission = self._last(Revision, version__plugin__owner=self.customer)
        paths = {
            "plugin": f"/app/plugins/catalog/{plugin.public_id}",
            "plugin_version": f"/app/plugins/catalog/{plugin.public_id}/{version.public_id}",
            "submission": f"/app/plugins/submissions/{submission}",
            "machine": f"/app/settings/machines/{self._last(Machine, customer=self.customer)}",
            "device_asked": f"/app/device?user_code={self._code}",
            "alerts_rule": f"/app/alerts/rules/{self._last(Rule)}",
            "alerts_incident": f"/app/alerts/incidents/{incident}",
            "alerts_message": f"/app/alerts/messages/{message}",
            "tool_compared": f"/app/tools/tool?server=git&name={TOOLS[0]}&compare={definition.pk}",
            "tool_definition": f"/app/tools/definitions/{definition.pk}.json",
        }
        return {name: _get(self.owner, path) for name, path in paths.items()}

    def _of_the_operator(self) -> dict[str, Ask]:
        row, subscription = self.customer.pk, self.customer.subscription
        terms = f"/admin/customers/subscription/{subscription.pk}/change_terms/"
        revision = Revision.objects.filter(version__plugin__owner=self.customer).latest("id")
        return {
            "console_customer": _get(self.operator, f"/admin/customers/customer/{row}/change/"),
            "console_revision": _get(self.operator, f"/admin/plugins_registry/revision/{revision.pk}/change/"),
            "console_preview": lambda: _got(self.operator, terms, {"tier": subscription.tier_id, "events_per_day": 9}),
        }

    def _last(self, model: type[models.Model], **only: object) -> str:
        found: str = model._default_manager.filter(**only).order_by("-pk").values_list("public_id", flat=True)[0]
        return found


def _owner(customer: Customer, at: datetime) -> Client:
    client = Client(headers={"accept-encoding": "gzip"})
    email = f"owner-{customer.pk}@bench.example"
    client.force_login(accounts.add_member(customer, email, "correct horse battery", Member.Role.OWNER, at=at).user)
    return client


def _waiting_login(at: datetime) -> str:
    """The code of a machine that waits to be let in, for as long as the pages are measured."""
    codes = device_codes.start(device_codes.Asking("km-client", name="ann-laptop"), address="203.0.113.7", at=at)
    DeviceGrant.objects.filter(pk=codes.grant.pk).update(expires_at=at + timedelta(days=1))
    return codes.user_code


def _get(client: Client, path: str) -> Ask:
    return lambda: _got(client, path)


def _got(client: Client, path: str, form: dict[str, object] | None = None) -> int:
    """The bytes of a page; of a file that is streamed, its first piece."""
    response = client.get(path) if form is None else client.post(path, form)
    assert response.status_code == 200, (path, response.status_code)
    size = len(next(iter(response))) if response.streaming else len(response.content)
    response.close()
    assert size, path
    return size
