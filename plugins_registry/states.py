"""Changing a revision's state: by the table of `lifecycle`, one row at a time, with its history in one transaction.

    transition(revision.pk, Action.PASS_SCAN, SYSTEM, moment, findings=3)     # scanning → security_review

Two changes at once cannot both win: the update names the state it starts from and must touch one row. Whoever
publishes (`publishing_hooks`) is called before the transaction ends.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from customers import audit
from plugins_registry import publishing_hooks
from plugins_registry.errors import TransitionRefused
from plugins_registry.lifecycle import DECIDED, REVIEWED, TRANSITIONS, UNDECIDED, Action, State
from plugins_registry.models import Revision, StateChange

__all__ = ["DECIDED", "REVIEWED", "TRANSITIONS", "UNDECIDED", "Action", "State", "transition"]


def transition(revision_id: int, action: Action, actor: str, at: datetime, **details: Any) -> Revision:
    """Do `action` and return the revision as it is then. `details` are JSON. Raises `TransitionRefused`.

    `revision_id` is the row's number, `actor` as in the audit log.
    """
    with transaction.atomic():
        revision = Revision.objects.select_related("version__plugin__owner").get(pk=revision_id)
        old = State(revision.state)
        new = TRANSITIONS[old].get(action)
        if new is None:
            raise _refused(revision, action)
        revision.state, revision.state_since = new, at
        changed = {"state": new, "state_since": at}
        if new is State.CERTIFIED:
            revision.certified_at = changed["certified_at"] = at
        if Revision.objects.filter(pk=revision_id, state=old).update(**changed) != 1:
            raise TransitionRefused("the revision changed at the same moment", "look at its state and try again")
        _record(revision, action, old, actor, at, details)
    return revision


def _record(revision: Revision, action: Action, old: State, actor: str, at: datetime, details: dict[str, Any]) -> None:
    change = StateChange.objects.create(
        revision=revision, at=at, actor=actor, action=action, before=old, after=revision.state, details=details
    )
    audit.record(
        f"revision.{action}",
        subject=f"revision:{revision.public_id}",
        at=at,
        actor=actor,
        customer=revision.version.plugin.owner,
        before=old,
        after=revision.state,
        **details,
    )
    publishing_hooks.state_changed(change)


def _refused(revision: Revision, action: Action) -> TransitionRefused:
    state = State(revision.state)
    possible = ", ".join(f"`{each}`" for each in TRANSITIONS[state]) or "nothing"
    return TransitionRefused(
        f"`{action}` is not possible while revision {revision.number} of {revision.version} is {state.label}",
        f"now possible: {possible}",
    )
