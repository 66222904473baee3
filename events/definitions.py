"""The history of tools' definitions, for the rooms above: what changed, who must hear of it, who said it is good.

    definitions.on_definition_changed(hook)          # hook([Change(server="git", tool="git_push", kind="changed", …)])
    definitions.changes(7, since=moment)             # those noticed since then, the oldest first
    definitions.accept(customer, change_id, actor="user:ann", at=moment)

A hook is called inside the drain's transaction, once for each change. The rows come from `definitions_keeping`; reads
for pages are in `definitions_queries`. Definitions stay while anything is heard of their server within the days that
the customer's tier keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from core.errors import NotFound
from customers import audit
from customers.models import Customer
from events.definitions_changes import Change, change_of, off_definition_changed, on_definition_changed
from events.definitions_models import Tool, ToolChange, ToolListPart, ToolServer
from events.models import DailyRollup
from events.turns import turn

__all__ = ["Change", "accept", "accept_all", "changes", "expire", "off_definition_changed", "on_definition_changed"]

MOST = 1_000  # of one question
PARTS_WAIT = timedelta(days=1)  # for the rest of their list
NAMED = 100  # changes in one entry of the audit log; each row says by whom it was accepted, too
TOOLS_AT_ONCE = 200  # with their definitions: some 20 ms on SQLite


def changes(customer_id: int, *, since: datetime, limit: int = MOST) -> list[Change]:
    """What this service noticed at `since` or later, the oldest first; the oldest `limit` of them."""
    rows = _rows(customer_id).filter(noticed_at__gte=since).order_by("noticed_at", "pk")
    return [change_of(row) for row in rows[:limit]]


def accept(customer: Customer, change_id: int, *, actor: str, at: datetime) -> Change:
    """Say that a change is good; saying it again changes nothing. Raises `NotFound`."""
    with transaction.atomic():
        row = _rows(customer.pk).select_for_update(of=("self",)).filter(pk=change_id).first()
        if row is None:
            raise NotFound("there is no such change", "it may have been deleted when its retention ended")
        if row.accepted_at is None:
            _accept([row], actor, at)
            told = change_of(row)
            seen = {"server": told.server, "tool": told.tool, "before": told.before, "now": told.now}
            _record("tool_definition.accepted", f"tool_change:{told.id}", customer, actor, at, seen)
    return change_of(row)


def accept_all(customer: Customer, server: str, *, until: int, actor: str, at: datetime) -> int:
    """Say that every change of a server up to the one with the id `until` is good; how many those were."""
    with transaction.atomic():
        waiting = _rows(customer.pk).filter(tool__server__name=server, accepted_at=None, pk__lte=until)
        rows = list(waiting.select_for_update(of=("self",)).order_by("pk"))
        if rows:
            _accept(rows, actor, at)
            named = [f"{row.tool.name}: {row.definition.digest}" for row in rows[:NAMED]]
            seen = {"server": server, "changes": len(rows), "until": until, "first": named}
            _record("tool_definitions.accepted", f"tool_server:{rows[0].tool.server_id}", customer, actor, at, seen)
    return len(rows)


def _accept(rows: Sequence[ToolChange], actor: str, at: datetime) -> None:
    """Inside a transaction: `rows` are locked and open."""
    for row in rows:
        row.accepted_at, row.accepted_by = at, actor
    ToolChange.objects.bulk_update(rows, ["accepted_at", "accepted_by"], batch_size=TOOLS_AT_ONCE)


def _record(
    action: str, subject: str, customer: Customer, actor: str, at: datetime, details: Mapping[str, object]
) -> None:
    audit.record(action, subject=subject, customer=customer, actor=actor, at=at, **details)


def _rows(customer_id: int) -> QuerySet[ToolChange]:
    rows = ToolChange.objects.filter(customer_id=customer_id).select_related("tool__server", "definition", "before")
    return rows.defer("definition__body", "before__body")


def expire(customers: Iterable[int], limit: datetime) -> None:
    """Delete the definitions of servers that nothing was heard of since `limit`, when what counts them is gone."""
    heard = DailyRollup.objects.filter(customer_id=OuterRef("customer_id"), server=OuterRef("name"))
    silent = ToolServer.objects.filter(~Exists(heard), customer_id__in=list(customers), last_seen__lt=limit)
    for pk in silent.values_list("pk", flat=True):
        while _expire_some(pk, limit):
            continue


def _expire_some(pk: int, limit: datetime) -> bool:
    """One step; whether there is another. A server that spoke meanwhile keeps the rest."""
    with turn(), transaction.atomic():
        server = ToolServer.objects.select_for_update().filter(pk=pk, last_seen__lt=limit).first()
        if server is None:
            return False
        tools = list(Tool.objects.filter(server=server).values_list("pk", flat=True)[:TOOLS_AT_ONCE])
        if tools:
            Tool.objects.filter(pk__in=tools).delete()
        else:
            server.delete()
    return bool(tools)


def forget_parts(*, now: datetime) -> None:
    """Give up pages whose list was never completed."""
    ToolListPart.objects.filter(kept_at__lt=now - PARTS_WAIT).delete()
