"""Reads of tools and their definitions, for pages. Every one is bound to a customer first; rows are plain and frozen.

servers(7)                      → [ServerRow(name="git", tools=12, gone=1, open=2, …)]
tool(7, "git", "git_log")       → ToolRow(server="git", name="git_log", …), light: no definition is read
history(7, "git", "git_log")    → [DefinitionRow(digest="9f86…", …)], the one seen last first, with its change
body(7, definition_id)          → the canonical JSON
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import BooleanField, Count, Exists, ExpressionWrapper, F, Max, OuterRef, Q, Subquery

from events.definitions_models import Tool, ToolChange, ToolDefinition, ToolServer

MAX_SERVERS = 500


@dataclass(frozen=True, slots=True)
class ServerRow:
    """`gone` of `tools` are not in its newest complete list; `open` changes wait, `newest_open` the last of them."""

    name: str
    first_seen: datetime
    last_seen: datetime
    listed_at: datetime | None
    announced_at: datetime | None
    unread_at: datetime | None
    unread_why: str
    tools: int
    gone: int
    open: int
    newest_open: int | None

    @property
    def is_outdated(self) -> bool:
        """Whether it said that its list changed, and nobody has asked for it since."""
        return self.announced_at is not None and (self.listed_at is None or self.announced_at > self.listed_at)

    @property
    def is_unread(self) -> bool:
        """Whether its newest list could not be read whole."""
        return self.unread_at is not None and (self.listed_at is None or self.unread_at >= self.listed_at)


@dataclass(frozen=True, slots=True)
class ToolRow:
    """`is_open`: a change of it waits. `is_new`: its newest change is that it is there."""

    server: str
    name: str
    is_gone: bool
    is_new: bool
    is_open: bool


@dataclass(frozen=True, slots=True)
class DefinitionRow:
    """A definition, and the change it was; `kind` is blank for one that was there from the beginning."""

    id: int
    digest: str
    size: int
    is_cut: bool
    first_seen: datetime
    last_seen: datetime
    server_version: str
    session_id: str
    event_id: UUID
    change_id: int | None
    kind: str
    before_id: int | None
    accepted_at: datetime | None
    accepted_by: str

    @property
    def is_open(self) -> bool:
        return self.change_id is not None and self.accepted_at is None


_GONE = Q(tools__last_seen__lt=F("listed_at"))
_OF_SERVER = ("name", "first_seen", "last_seen", "listed_at", "announced_at", "unread_at", "unread_why")
_OF_DEFINITION = (
    *("id", "digest", "size", "is_cut", "first_seen", "last_seen", "server_version", "session_id", "event_id"),
    *("change__id", "change__kind", "change__before_id", "change__accepted_at", "change__accepted_by"),
)


def servers(customer_id: int, *, name: str | None = None) -> list[ServerRow]:
    """Those that were asked for their tools, by name; with `name`, that one. Two queries."""
    found = ToolServer.objects.filter(customer_id=customer_id)
    found = found if name is None else found.filter(name=name)
    counted = found.annotate(count=Count("tools"), lost=Count("tools", filter=_GONE)).order_by("name")
    waiting = ToolChange.objects.filter(customer_id=customer_id, accepted_at=None).values_list("tool__server__name")
    open_changes = {row[0]: row[1:] for row in waiting.annotate(Count("id"), Max("id"))}
    rows = counted.values_list(*_OF_SERVER, "count", "lost")[:MAX_SERVERS]
    return [ServerRow(*row, *open_changes.get(row[0], (0, None))) for row in rows]


def tool(customer_id: int, server: str, name: str) -> ToolRow | None:
    """One tool, if any list had it."""
    waiting = ToolChange.objects.filter(tool=OuterRef("pk"), accepted_at=None)
    found = Tool.objects.filter(customer_id=customer_id, server__name=server, name=name).annotate(
        gone=_bool(last_seen__lt=F("server__listed_at")), new=_bool(changed_at=F("first_seen")), open=Exists(waiting)
    )
    flags = found.values_list("gone", "new", "open").first()
    return None if flags is None else ToolRow(server, name, *map(bool, flags))


def _bool(**condition: F) -> ExpressionWrapper[Q]:
    return ExpressionWrapper(Q(**condition), output_field=BooleanField())


def defined_at(customer_id: int, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], datetime]:
    """Since when the definition that each (server, tool) has now is known."""
    wanted = set(keys)
    newest = ToolDefinition.objects.filter(tool=OuterRef("pk")).order_by("-last_seen", "-first_seen", "-digest")
    near = Tool.objects.filter(
        customer_id=customer_id, server__name__in={key[0] for key in wanted}, name__in={key[1] for key in wanted}
    )
    rows = near.values_list("server__name", "name", Subquery(newest.values("first_seen")[:1]))
    return {row[:2]: row[2] for row in rows if row[:2] in wanted}


def history(customer_id: int, server: str, name: str) -> list[DefinitionRow]:
    """Every definition of a tool, the one that was seen last first."""
    found = ToolDefinition.objects.filter(customer_id=customer_id, tool__server__name=server, tool__name=name)
    rows = found.order_by("-last_seen", "-first_seen", "-digest").values_list(*_OF_DEFINITION)
    return [DefinitionRow(*(*row[:10], row[10] or "", *row[11:13], row[13] or "")) for row in rows]


def bodies(customer_id: int, ids: Iterable[int | None]) -> dict[int, str]:
    """The canonical JSON of definitions, by their ids; of one that was too large, its beginning."""
    wanted = [each for each in ids if each is not None]
    return dict(ToolDefinition.objects.filter(customer_id=customer_id, pk__in=wanted).values_list("pk", "body"))
