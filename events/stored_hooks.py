"""Who else must know what was stored: callbacks, registered when Django starts.

    stored_hooks.on_stored(outbox.keep)      # in the `ready` of a room inside or above this one

Each is called inside the drain's transaction with the events that are new, so what it writes is true exactly when they
are stored. Without a hook, a call costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Hook = Callable[[Sequence[Any]], None]  # of the store's `NewEvent`

_hooks: list[Hook] = []


def on_stored(hook: Hook) -> None:
    """Call `hook` with every drain's new events. Registering twice is the same as once."""
    if hook not in _hooks:
        _hooks.append(hook)


def off_stored(hook: Hook) -> None:
    """Call `hook` no more."""
    if hook in _hooks:
        _hooks.remove(hook)


def stored(events: Sequence[Any]) -> None:
    """Inside the drain's transaction: `events` are new."""
    for hook in _hooks:
        hook(events)
