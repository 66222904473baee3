"""Quarantine, yank, block and their ways back, as the console asks about them: a question, a form, the act."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django import forms
from django.contrib.auth.models import User
from django.db.models import Q
from django.urls import reverse

from plugins_registry import blocks, people, yanks
from plugins_registry.admin import who_may
from plugins_registry.admin.forms import BlockForm, CommentForm, ReasonForm, StopForm
from plugins_registry.errors import TransitionRefused
from plugins_registry.lifecycle import Action
from plugins_registry.models import Block, Revision


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked before an act."""

    action: Action
    question: str
    consequence: str
    button: str
    done: str
    form: type[forms.Form]


class Button(NamedTuple):
    label: str
    address: str
    is_grave: bool


_ASKED = {
    Action.QUARANTINE: Asked(
        Action.QUARANTINE,
        "Quarantine this revision?",
        "Every customer's client disables it with the next refresh, until somebody restores it.",
        "Quarantine",
        "The revision is in quarantine.",
        StopForm,
    ),
    Action.YANK: Asked(
        Action.YANK,
        "Yank this revision?",
        "It is no longer offered, and every client disables it with the next refresh.",
        "Yank",
        "The revision is yanked.",
        StopForm,
    ),
    Action.RESTORE: Asked(
        Action.RESTORE,
        "Restore this revision?",
        "It keeps its reviews and is built, checked and published again.",
        "Restore",
        "The revision is restored.",
        CommentForm,
    ),
    Action.BLOCK: Asked(
        Action.BLOCK,
        "Block this version?",
        "It goes onto the signed blocklist: soft stops new installations, hard also what runs.",
        "Block",
        "The version is blocked.",
        BlockForm,
    ),
    Action.RETRY_SCAN: Asked(
        Action.RETRY_SCAN,
        "Run the failed checks again?",
        "Checks that came to a result are not repeated. If one cannot run again, the revision comes back here.",
        "Run them again",
        "The checks run again.",
        forms.Form,
    ),
    Action.UNBLOCK: Asked(
        Action.UNBLOCK,
        "Lift the block?",
        "The version leaves the blocklist and stays in quarantine until somebody restores it.",
        "Lift the block",
        "The block is lifted.",
        ReasonForm,
    ),
}


def question(action: str, revision: Revision) -> Asked | None:
    """What is asked before `action`; `None` for what is no such act."""
    asked = _ASKED.get(Action(action)) if action in Action.values else None
    if asked is not None and asked.action is Action.UNBLOCK:
        made = _block_of(revision)
        what = "every version of the plugin" if made and made.version_id is None else "this version"
        return Asked(
            asked.action, f"Lift the block of {what}?", asked.consequence, asked.button, asked.done, forms.Form
        )
    return asked


def buttons(user: User, revision: Revision) -> list[Button]:
    """Those `user` may press now."""
    return [
        Button(
            stop.label,
            reverse("admin:plugins_registry_revision_stop", args=(revision.pk, stop.action.value)),
            stop.is_grave,
        )
        for stop in who_may.stops(user, revision)
    ]


def may(user: User, action: str, revision: Revision) -> bool:
    """Whether `user` has the duty of which `action` is one; whether the state allows it is the act's to say."""
    return any(stop.action == action and not who_may.refusal_to_stop(user, stop, revision) for stop in who_may.STOPS)


def act(action: Action, revision: Revision, user: User, given: Mapping[str, Any], *, at: datetime) -> None:
    """Raises what `yanks` and `blocks` raise."""
    if action is Action.QUARANTINE:
        yanks.quarantine(revision, user, given["reason_code"], given["comment"], at=at)
    elif action is Action.YANK:
        yanks.yank(revision, user, given["reason_code"], given["comment"], at=at)
    elif action is Action.RESTORE:
        yanks.restore(revision, user, given["comment"], at=at)
    elif action is Action.BLOCK:
        version = revision.version
        blocks.block(version.plugin, user, given["level"], given["reason"], at=at, version=version)
    elif action is Action.RETRY_SCAN:
        from plugins_registry import scanning  # noqa: PLC0415 - every tool that checks; the console rarely needs them

        scanning.retry(revision.pk, actor=people.actor_of(user), at=at)
    else:
        made = _block_of(revision)
        if made is None:
            raise TransitionRefused("nothing in force blocks this version", "look at the list of blocks")
        blocks.lift(made, user, at=at)


def _block_of(revision: Revision) -> Block | None:
    """The version's own block before the plugin's."""
    version = revision.version
    rows = blocks.in_force(version.plugin).filter(Q(version=version) | Q(version=None), sha256="")
    return min(rows, key=lambda row: row.version_id is None, default=None)
