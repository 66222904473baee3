"""An author takes a revision back, until it is built.

    withdraw(revision, actor="key:key_0aXv…", at=moment)      # scanning → withdrawn

The same source sent again brings it back. What is published already is yanked, not withdrawn (`yanks`).
"""

from __future__ import annotations

from datetime import datetime

from plugins_registry import states
from plugins_registry.lifecycle import Action
from plugins_registry.models import Revision


def withdraw(revision: Revision, *, actor: str, at: datetime) -> Revision:
    """Raises `TransitionRefused`; of two at once, one."""
    return states.transition(revision.pk, Action.WITHDRAW, actor, at)
