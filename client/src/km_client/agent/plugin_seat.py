"""One plugin as the agent keeps it: who feeds it, whom it runs for, and what is to be done with it now.

>>> decide(Standing(held=False, missing=frozenset(), wanted=True, state=None, fingerprint=b"1"), seat)
'start'

`decide` is the whole rule, as a pure function of what stands and what the plugin was told last.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from km_protocol.envelope import Event

from km_client import paths
from km_client.capture.spool import Session
from km_client.plugins import discovery
from km_client.plugins.discovery import PluginSpec
from km_client.plugins.errors import PluginError, RefusedError
from km_client.plugins.lifecycle import State

if TYPE_CHECKING:
    from km_client.entitlement.account import Account
    from km_client.registry.installed import Installed

KEPT_EVENTS = 5_000  # until it is known what the plugin may do: seconds of a busy session
DRAIN_SECONDS = 15.0  # how long a plugin may still work on what it was fed, once its last session is over
ENDED: frozenset[State | None] = frozenset({None, "stopped", "refused", "disabled"})

Step = Literal["nothing", "start", "tell", "stop", "leave"]


@dataclass(slots=True)
class Seat:
    """`spec` is `None` when nothing can be started; `trouble` says why, or what is wrong with the person's settings.

    `runs`: the monitor runs that feed it, with the session id of each. `kept` are events from before it was known
    whether it may run; `missed` counts those that did not fit. `told` is the fingerprint of the configuration it has.
    """

    key: str
    path: Path
    account: Account | None
    api_url: str
    since: float  # monotonic, in seconds: when it was first asked for
    spec: PluginSpec | None = None
    trouble: PluginError | None = None
    runs: dict[str, str] = field(default_factory=dict)
    debug: bool = False
    has_started: bool = False
    told: bytes = b""
    kept: deque[Event] = field(default_factory=deque)
    missed: int = 0
    missing: frozenset[str] = frozenset()  # required features its account does not have
    unneeded_since: float = 0.0
    installed: Installed | None = None  # where it came from the registry
    barred: PluginError | None = None  # why the registry does not let it run now

    def keep(self, events: Sequence[Event]) -> None:
        """Hold `events` back until it is known whether the plugin may have them."""
        room = max(0, KEPT_EVENTS - len(self.kept))
        self.kept.extend(events[:room])
        self.missed += max(0, len(events) - room)

    def is_for_the_same(self, other: Seat) -> bool:
        """The same plugin and account; of one from the registry, the build that runs already is as good."""
        is_same = self.path == other.path or (self.installed is not None and other.installed is not None)
        return is_same and self.account == other.account

    def begin_again_as(self, other: Seat) -> None:
        """Start what `other` found, which is newer."""
        self.path, self.spec, self.trouble, self.installed = other.path, other.spec, other.trouble, other.installed
        self.has_started = False

    def join(self, run: str, session_id: str, *, debug: bool) -> None:
        self.runs[run] = session_id
        self.debug = self.debug or debug

    def leave(self, run: str, *, at: float) -> None:
        if self.runs.pop(run, None) is not None and not self.runs:
            self.unneeded_since = at

    def is_wanted(self, *, idle: bool, at: float) -> bool:
        """Whether a session feeds it, or what one fed is still to be worked on."""
        if self.runs:
            return True
        has_work = bool(self.kept) or (self.has_started and not idle)
        return has_work and at < self.unneeded_since + DRAIN_SECONDS


class Standing(NamedTuple):
    """What holds at a moment. `state` is the supervisor's, `None` when it does not know the plugin.

    `held`: it may not start yet. `missing`: required features it lacks. `fingerprint` is of the configuration it
    should have. `barred`: the registry does not let it run.
    """

    held: bool
    missing: frozenset[str]
    wanted: bool
    state: State | None
    fingerprint: bytes
    barred: bool = False


def decide(standing: Standing, seat: Seat) -> Step:
    """What to do with the plugin of `seat` now."""
    if standing.state not in ENDED:
        return _while_it_runs(standing, seat)
    if not standing.wanted:
        return "leave"
    if standing.held or standing.missing or standing.barred:
        return "nothing"
    # What was refused may be taken in another configuration; what crashed five times will not be mended by one.
    is_new = not seat.has_started or (standing.state == "refused" and standing.fingerprint != seat.told)
    return "start" if is_new else "nothing"


def _while_it_runs(standing: Standing, seat: Seat) -> Step:
    if not seat.has_started:  # it was asked to stop, and has not yet
        return "nothing"
    if standing.missing or standing.barred or not standing.wanted:
        return "stop"
    return "tell" if standing.state == "running" and standing.fingerprint != seat.told else "nothing"


def seat_for(path: Path, session: Session, account: Account | None, api_url: str, *, since: float) -> Seat:
    """A new seat for the plugin at `path`; with `trouble` when there is none that could run."""
    spec, trouble = None, None
    try:
        spec = discovery.find(path, private=(paths.config_dir(), paths.data_dir()))
    except PluginError as error:
        trouble = error
    name = spec.name if spec else path.name
    return Seat(key_for(name, session), path, account, api_url, since, spec, trouble)


def name_taken(there: Seat) -> RefusedError:
    message = f"another plugin of this name is in use, from `{there.path}`"
    return RefusedError("name_taken", message, "end the sessions that use it, or give one of the two another name")


def key_for(name: str, session: Session) -> str:
    """What the plugin `name` is called in the sessions of one account."""
    return f"{name}{_suffix(session)}"


def _suffix(session: Session) -> str:
    """Two customers never share a plugin's process, state or log; nor does what must not leave this machine."""
    if session.local_only:
        return "@local"
    if session.api_key is None and session.api_url is None:
        return ""
    return "@" + hashlib.sha256(f"{session.api_url}|{session.api_key}".encode()).hexdigest()[:6]
