"""The one place that asks which tools' definitions changed (`events.definitions`).

    since(7, moment)   → [Change(server="git", tool="git_push", change="changed", at=…), …], the oldest first

`at` is when this service noticed it: what a laptop sends a week late is news all the same. A change that a person has
accepted is none any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from events import definitions

MOST = 100  # an incident is about all of them, and keeps these


@dataclass(frozen=True, slots=True)
class Change:
    """A tool's definition that was not there before (`new`), or is another (`changed`)."""

    server: str
    tool: str
    change: str
    at: datetime


def since(customer_id: int, moment: datetime, *, also_accepted: bool = False) -> list[Change]:
    """What was noticed at `moment` or later."""
    found = definitions.changes(customer_id, since=moment)
    return [
        Change(each.server, each.tool, each.kind, each.noticed_at)
        for each in found
        if also_accepted or not each.is_accepted
    ]
