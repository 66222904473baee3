"""Who else must act when what may run changes: callbacks, registered when Django starts.

    publishing_hooks.on_state_change(repositories.follow)      # in apps.ready

Each is called inside the transaction that made the change, so what it writes is true exactly when the change is. What
takes time it queues on commit. This module knows none of them: publishing stands on reviewing, never the reverse.
"""

from __future__ import annotations

from collections.abc import Callable

from plugins_registry.models import Block, StateChange

StateHook = Callable[[StateChange], None]
BlockHook = Callable[[Block], None]

_state_hooks: list[StateHook] = []
_block_hooks: list[BlockHook] = []


def on_state_change(hook: StateHook) -> None:
    """Call `hook` with every transition of every revision. Registering twice is the same as once."""
    if hook not in _state_hooks:
        _state_hooks.append(hook)


def on_block(hook: BlockHook) -> None:
    """Call `hook` with every block that is made or lifted."""
    if hook not in _block_hooks:
        _block_hooks.append(hook)


def state_changed(change: StateChange) -> None:
    for hook in _state_hooks:
        hook(change)


def block_changed(block: Block) -> None:
    for hook in _block_hooks:
        hook(block)
