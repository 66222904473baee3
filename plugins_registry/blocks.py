"""What no laptop may run, whatever it has installed: the rows behind the signed blocklist.

    block(plugin, ann, "hard", "steals tokens", at=moment)                       every version
    block(plugin, ann, "soft", "crashes", at=moment, version=one)                one version
    block(plugin, ann, "hard", "was tampered with", at=moment, sha256="9f86…")   one payload or package
    lift(row, cat, at=moment)

Soft stops new installations, hard stops what runs. The revisions a block covers become `blocked`; lifting it leaves
them in quarantine, from where `yanks.restore` takes them back. A block of one payload changes no state.
"""

from __future__ import annotations

import re
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet

from customers import audit
from plugins_registry import people, publishing_hooks, states
from plugins_registry.errors import InvalidDecision, TransitionRefused
from plugins_registry.lifecycle import TRANSITIONS, Action, State
from plugins_registry.models import Block, Plugin, Revision, Version
from plugins_registry.people import Duty, actor_of
from plugins_registry.reasons import MAX_REASON_CHARACTERS

Level = Block.Level
_SHA256 = re.compile(r"[0-9a-f]{64}")
_BLOCKABLE = [state for state, row in TRANSITIONS.items() if Action.BLOCK in row and state is not State.BLOCKED]


def block(
    plugin: Plugin,
    user: User,
    level: str,
    reason: str,
    *,
    at: datetime,
    version: Version | None = None,
    sha256: str = "",
) -> Block:
    """Of what is blocked already, the level and the reason change. Raises `InvalidDecision`, `NotAReviewer`."""
    _check(plugin, level, reason, version, sha256)
    people.require_permission(user, (Duty.BLOCK,))
    with transaction.atomic():
        Plugin.objects.select_for_update().get(pk=plugin.pk)
        in_force(plugin).filter(version=version, sha256=sha256).update(lifted_at=at)
        made = Block.objects.create(
            plugin=plugin, version=version, sha256=sha256, level=level, reason=reason, actor=actor_of(user), at=at
        )
        if not sha256:
            for pk in _covered(made).filter(state__in=_BLOCKABLE).values_list("pk", flat=True):
                states.transition(pk, Action.BLOCK, made.actor, at, level=level, reason=reason)
        _record("block.made", made, made.actor, at)
    return made


def lift(made: Block, user: User, *, at: datetime) -> Block:
    """Raises `NotAReviewer`, `TransitionRefused` when it was lifted already."""
    people.require(user, Duty.BLOCK, made.plugin)
    with transaction.atomic():
        if Block.objects.filter(pk=made.pk, lifted_at=None).update(lifted_at=at) != 1:
            raise TransitionRefused("this block was lifted already", "look at the list again")
        made.lifted_at = at
        for revision in _covered(made).filter(state=State.BLOCKED).select_related("version"):
            if not _is_covered(revision):
                states.transition(revision.pk, Action.UNBLOCK, actor_of(user), at)
        _record("block.lifted", made, actor_of(user), at)
    return made


def in_force(plugin: Plugin | None = None) -> QuerySet[Block]:
    """The blocks that were not lifted, of one plugin or of all."""
    rows = Block.objects.filter(lifted_at=None).select_related("plugin", "version")
    return rows.filter(plugin=plugin) if plugin else rows


def _check(plugin: Plugin, level: str, reason: str, version: Version | None, sha256: str) -> None:
    if level not in Level.values:
        raise InvalidDecision(f"`{level[:20]}` is no level", f"one of {', '.join(Level.values)}")
    if not reason.strip() or len(reason) > MAX_REASON_CHARACTERS or "\0" in reason:
        raise InvalidDecision(f"a reason has 1 to {MAX_REASON_CHARACTERS} characters", "say what it does")
    if sha256 and not _SHA256.fullmatch(sha256):
        raise InvalidDecision("`sha256` is not 64 hexadecimal digits", "take it from the build")
    if version is not None and version.plugin_id != plugin.pk:
        raise InvalidDecision(f"{version} is no version of {plugin}", "choose one of its versions")


def _covered(made: Block) -> QuerySet[Revision]:
    """The revisions a block of a plugin or of a version is about; of a payload's, none."""
    if made.sha256:
        return Revision.objects.none()
    rows = Revision.objects.filter(version__plugin_id=made.plugin_id)
    return rows.filter(version_id=made.version_id) if made.version_id else rows


def _is_covered(revision: Revision) -> bool:
    """Whether another block in force covers it."""
    either = Q(version=None) | Q(version_id=revision.version_id)
    return Block.objects.filter(either, plugin_id=revision.version.plugin_id, sha256="", lifted_at=None).exists()


def _record(action: str, made: Block, actor: str, at: datetime) -> None:
    audit.record(
        action,
        subject=f"plugin:{made.plugin.public_id}",
        at=at,
        actor=actor,
        customer=made.plugin.owner,
        level=made.level,
        version=made.version.number if made.version else "",
        sha256=made.sha256,
        reason=made.reason,
    )
    publishing_hooks.block_changed(made)
