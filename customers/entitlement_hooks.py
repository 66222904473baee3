"""Who else must act when what a customer may use changes: callbacks, registered when Django starts.

    entitlement_hooks.on_change(repositories.mark_dirty)      # in apps.ready of a room above this one

Each is called inside the transaction that made the change, so what it writes is true exactly when the change is. What
takes time it queues on commit. This room knows none of them.
"""

from __future__ import annotations

from collections.abc import Callable

from customers.models import Customer

Hook = Callable[[Customer], None]

_hooks: list[Hook] = []


def on_change(hook: Hook) -> None:
    """Call `hook` with every customer whose subscription changes. Registering twice is the same as once."""
    if hook not in _hooks:
        _hooks.append(hook)


def changed(customer: Customer) -> None:
    for hook in _hooks:
        hook(customer)
