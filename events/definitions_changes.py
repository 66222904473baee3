"""What changed, worked out anew from the definitions whenever there is one more: the result knows no order of arrival.

A tool's definitions by when they were first seen: each but the first is a change of the one before it. The first one of
a tool that came after its server's first complete list is a new tool, a change too. Going back to a definition that was
seen before is none. Acceptance stays with its definition, whatever else turns up between.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from events.definitions_models import Tool, ToolChange, ToolDefinition, ToolServer

MAX_DEFINITIONS = 100  # of a tool: one that tells the time in its description has a new one in every list
TOOLS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Change:
    """A tool's definition became another (`changed`), or a known server has a tool more (`new`).

    `at` is when a message first had the new definition, `noticed_at` when this service read it, which may be much
    later. Digests are SHA-256 in hex; `before` is blank for a new tool.
    """

    id: int
    customer_id: int
    server: str
    tool: str
    kind: str
    at: datetime
    noticed_at: datetime
    before: str
    now: str
    server_version: str
    session_id: str
    is_accepted: bool


Hook = Callable[[Sequence[Change]], None]

_hooks: list[Hook] = []


def on_definition_changed(hook: Hook) -> None:
    """Call `hook` with changes that are new, inside the drain's transaction. Registering twice is the same as once."""
    if hook not in _hooks:
        _hooks.append(hook)


def off_definition_changed(hook: Hook) -> None:
    """Call `hook` no more."""
    if hook in _hooks:
        _hooks.remove(hook)


def change_of(row: ToolChange) -> Change:
    """A row with its `tool__server`, `definition` and `before`, as rooms above see it."""
    return Change(
        id=row.pk,
        customer_id=row.customer_id,
        server=row.tool.server.name,
        tool=row.tool.name,
        kind=row.kind,
        at=row.at,
        noticed_at=row.noticed_at,
        before=row.before.digest if row.before else "",
        now=row.definition.digest,
        server_version=row.definition.server_version,
        session_id=row.definition.session_id,
        is_accepted=row.accepted_at is not None,
    )


def settle(server: ToolServer, tools: Collection[int], *, all_tools: bool, at: datetime) -> None:
    """Have the changes of `tools` be what their definitions say; with `all_tools`, of every tool that came after the
    server was known. Under the server's lock."""
    wanted = set(tools)
    if all_tools and server.known_since:
        later = Tool.objects.filter(server=server, first_seen__gt=server.known_since)
        wanted |= set(later.values_list("pk", flat=True))
    ids, made = sorted(wanted), []
    for start in range(0, len(ids), TOOLS_AT_ONCE):
        made += _settle(server, ids[start : start + TOOLS_AT_ONCE], at)
    if made and _hooks:
        rows = ToolChange.objects.filter(pk__in=[row.pk for row in made]).defer("definition__body", "before__body")
        told = [change_of(row) for row in rows.select_related("tool__server", "definition", "before").order_by("at")]
        for hook in _hooks:
            hook(told)


def _settle(server: ToolServer, ids: Sequence[int], at: datetime) -> list[ToolChange]:
    """Returns the changes that were not known."""
    have = {row.definition_id: row for row in ToolChange.objects.filter(tool__in=ids)}
    made, moved, newest = [], [], dict[datetime | None, list[int]]()
    for tool_id, history in _histories(ids):
        changes = list(_derived(server, history, have, at))
        made += [row for row in changes if row._state.adding]
        moved += [row for row in changes if not row._state.adding]
        newest.setdefault(changes[-1].at if changes else None, []).append(tool_id)
    kept = {row.definition_id for row in (*made, *moved)}
    ToolChange.objects.filter(pk__in=[row.pk for row in have.values() if row.definition_id not in kept]).delete()
    ToolChange.objects.bulk_update(moved, ["kind", "before", "at"], batch_size=TOOLS_AT_ONCE)
    ToolChange.objects.bulk_create(made, batch_size=TOOLS_AT_ONCE)
    for moment, tools in newest.items():
        Tool.objects.filter(pk__in=tools).exclude(changed_at=moment).update(changed_at=moment)
    return made


def _histories(ids: Sequence[int]) -> Iterator[tuple[int, list[ToolDefinition]]]:
    """Each tool's definitions, the first one first, of the newest `MAX_DEFINITIONS`; others are deleted."""
    rows = ToolDefinition.objects.filter(tool__in=ids).defer("body").select_related("tool")
    rows = rows.order_by("tool_id", "first_seen", "digest")
    for tool_id, group in groupby(rows, key=lambda row: row.tool_id):
        history = list(group)
        surplus = sorted(history, key=lambda row: row.last_seen)[: max(0, len(history) - MAX_DEFINITIONS)]
        if surplus:
            ToolDefinition.objects.filter(pk__in=[row.pk for row in surplus]).delete()
            history = [row for row in history if row not in surplus]
        yield tool_id, history


def _derived(
    server: ToolServer, history: Sequence[ToolDefinition], have: dict[int, ToolChange], at: datetime
) -> Iterator[ToolChange]:
    before: ToolDefinition | None = None
    for row in history:
        if before is not None or _is_new(server, row):
            change = have.get(row.pk) or ToolChange(
                customer_id=server.customer_id, tool_id=row.tool_id, definition=row, noticed_at=at
            )
            change.kind = ToolChange.Kind.NEW if before is None else ToolChange.Kind.CHANGED
            change.before, change.at = before, row.first_seen
            yield change
        before = row


def _is_new(server: ToolServer, first: ToolDefinition) -> bool:
    """Whether a tool's first definition came after the server was known; it may be the first of those kept alone."""
    is_first = first.first_seen == first.tool.first_seen
    return is_first and server.known_since is not None and first.first_seen > server.known_since
