"""The life of a plugin as a table of states.

>>> transition("running", "crash")
'backing_off'

new ──▶ starting ──▶ running ──▶ stopping ──▶ stopped
            │           │
            └──▶ backing_off ──▶ starting …  after five crashes ──▶ disabled
            └──▶ refused                     nothing but a change of the plugin or the machine helps
"""

from __future__ import annotations

from typing import Literal

State = Literal["new", "starting", "running", "backing_off", "stopping", "stopped", "refused", "disabled"]
Action = Literal["start", "ready", "crash", "retry", "give_up", "refuse", "restart", "stop", "ended"]

TRANSITIONS: dict[State, dict[Action, State]] = {
    "new": {"start": "starting", "refuse": "refused", "stop": "stopped"},
    "starting": {
        "ready": "running",
        "crash": "backing_off",
        "give_up": "disabled",
        "refuse": "refused",
        "stop": "stopping",
    },
    "running": {
        "crash": "backing_off",
        "give_up": "disabled",
        "refuse": "refused",
        "restart": "starting",
        "stop": "stopping",
    },
    "backing_off": {"retry": "starting", "stop": "stopped"},
    "stopping": {"ended": "stopped"},
    "stopped": {},
    "refused": {"stop": "stopped"},
    "disabled": {"stop": "stopped"},
}
# In these a plugin will take events, now or after its next start; in all others they are dropped and counted.
TAKES_EVENTS: frozenset[State] = frozenset({"new", "starting", "running", "backing_off"})


def transition(state: State, action: Action) -> State:
    """The next state. Raises `ValueError` on an action that the state does not know, which is a mistake of ours."""
    try:
        return TRANSITIONS[state][action]
    except KeyError:
        raise ValueError(f"a plugin that is `{state}` cannot `{action}`") from None
