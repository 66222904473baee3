"""One server and key: what it allows here, kept up to date by a thread of its own that nobody waits for.

    account = Account(Destination(url, key), place_of(destination), wake=loop.wake)
    account.start(); account.want([PluginIdentity("api-logger", "1.0.0", "")])
    account.now().for_plugin("api-logger") → {"console_logging", "api_logging"};  account.token("api-logger") → "eyJ…"
    account.stop(5.0)

`now` holds without a network: a lease from an earlier start counts from the first call on, until its end, then until
the end of its grace; after that, or with a clock set back below the newest signed time, only what is free.
The server says when to ask again. While it cannot be reached it is asked with growing pauses, and what was signed goes
on counting. **A key that the server calls revoked, expired or suspended is another matter: the server has spoken, and
what it paid for ends at once**, also after a restart, until the server gives a lease again (`conversation.ENDINGS`).
Any other 401 is reported, and the kept lease counts until its end.
Lease and tokens are asked for in turn, each with pauses of its own: neither keeps the other waiting.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from km_protocol.api_keys import display
from km_protocol.claims import LEASE_SECONDS, Lease, LeaseState

from km_client import paths
from km_client.agent.delivery import Destination
from km_client.entitlement.conversation import Conversation, Ended, Failed, Fresh, Granted
from km_client.entitlement.entitled import Entitled
from km_client.entitlement.holding import Holding
from km_client.entitlement.lease_store import LeaseStore
from km_client.entitlement.machine import machine_id
from km_client.entitlement.plugin_tokens import PluginIdentity
from km_client.entitlement.reporting import account_report
from km_client.entitlement.timetable import Duty
from km_client.plugins.report import AccountReport

LOOK_SECONDS = 30.0  # how late a lease's end, or that this machine slept, may be noticed
CLOCK_JUMP_SECONDS = 60.0  # the clock and the monotonic one part by more than this only when the machine slept
TOKEN_LIFE_SPENT = 0.75  # latest when a token is renewed, however far apart the server wants its refreshes
_log = logging.getLogger(__name__)


class Account:
    """The thread and what it knows. `wake` is called on it whenever `generation` has grown."""

    def __init__(
        self,
        destination: Destination,
        place: Path,
        *,
        wake: Callable[[], None],
        describe: Callable[[], Mapping[str, object]] | None = None,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._destination = destination
        self._wake = wake
        self._describe = describe
        self._clock = clock
        self._jitter = jitter
        machine = machine_id(paths.machine_file())
        self._holding = Holding(LeaseStore(place), machine, clock)
        self._conversation = Conversation(destination, machine)
        self._changed = threading.Condition()  # guards what follows
        self._lease_duty = Duty(jitter)
        self._token_duties: dict[PluginIdentity, Duty] = {}
        self._last: Duty | None = None
        self._is_stopping = False
        self._clocks_apart = self._apart()
        self._told = 0
        self._has_word = False  # whether the server is to be told of this machine
        self._thread = threading.Thread(target=self._run, name=f"entitlement at {destination.url}", daemon=True)

    @property
    def generation(self) -> int:
        """Grows when features, tier, status, the lease's state, the keys or any wanted token changed."""
        return self._holding.generation

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End after the request under way, waiting `timeout` seconds for it; what it brings later is ignored."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        if self._thread.ident is None:
            self._conversation.close()
        else:
            self._thread.join(max(0.0, timeout))

    def now(self) -> Entitled:
        """What holds at this moment. Never waits."""
        return self._holding.now()

    def want(self, identities: Collection[PluginIdentity]) -> None:
        """The plugins to have tokens for. A new one's is fetched at once, a former one's is forgotten."""
        with self._changed:
            if self._token_duties.keys() == set(identities):
                return
            before = self._token_duties
            self._token_duties = {one: before.get(one) or Duty(self._jitter) for one in sorted(identities)}
            self._holding.want(identities)
            self._changed.notify_all()

    def token(self, name: str) -> str:
        """A token of the plugin `name` that it would accept now, or an empty text."""
        return self._holding.token(name)

    def refresh_now(self) -> None:
        """Ask at once: something changed that may help."""
        with self._changed:
            self._hurry()
            self._changed.notify_all()

    def report(self) -> AccountReport:
        """How the account stands, for a person who asks."""
        with self._changed:
            duties = (self._lease_duty, *self._token_duties.values())
            problems = [duty.problem for duty in duties if duty.problem]
            in_seconds = max(0.0, self._lease_duty.due - time.monotonic())
        return account_report(self._destination, self._holding, problems, at=self._clock(), refresh_in=in_seconds)

    def _run(self) -> None:
        try:
            while not self._is_stopping:
                self._round()
        finally:
            self._conversation.close()

    def _round(self) -> None:
        """One duty, or a wait for one."""
        duty, identity = self._next()
        if duty:
            self._perform(duty, identity)
        elif self._has_word:
            self._tell_of_this_machine()
        self._holding.save()
        generation = self._holding.generation
        if generation != self._told:
            self._told = generation
            self._wake()

    def _next(self) -> tuple[Duty | None, PluginIdentity | None]:
        """Whose turn it is, once it is due; none if something else happened first."""
        with self._changed:
            self._notice_sleep()
            now = time.monotonic()
            due = [(duty, one) for duty, one in self._candidates() if duty.due <= now]
            if due and not self._is_stopping:
                # The lease first, but never twice while a token waits: a server in trouble must not starve the plugins.
                duty, one = due[1] if len(due) > 1 and due[0][0] is self._last else due[0]
                self._last = duty
                duty.begin()
                return duty, one
            if not self._is_stopping and not self._has_word:
                self._changed.wait(min([LOOK_SECONDS, *(duty.due - now for duty, _ in self._candidates())]))
            return None, None

    def _candidates(self) -> list[tuple[Duty, PluginIdentity | None]]:
        """What may be asked now. No token without a customer, and none for a key that counts no more."""
        kept = self._holding.kept
        is_refused = kept.ended in {LeaseState.REVOKED, LeaseState.SUSPENDED}
        tokens = self._token_duties if kept.customer_id and not is_refused else {}
        return [(self._lease_duty, None), *((duty, one) for one, duty in tokens.items())]

    def _perform(self, duty: Duty, identity: PluginIdentity | None) -> None:
        outcome = self._ask(identity)
        with self._changed:
            if self._is_stopping:
                return  # another account may use the same file by now
            match outcome:
                case Fresh():
                    self._adopt(duty, outcome)
                    self._has_word = self._describe is not None
                case Granted() if identity:
                    self._holding.hold_token(identity, outcome)
                    life = outcome.token.exp - outcome.token.iat
                    duty.done(life * TOKEN_LIFE_SPENT, now=time.monotonic())
                case Ended():
                    self._holding.end(outcome)
                    self._lease_duty.refused(self._said(outcome.reason), now=time.monotonic())
                case Failed(reason, least, needs_person):
                    self._fail(duty, self._said(reason, identity), least, needs_person)

    def _tell_of_this_machine(self) -> None:
        """With each lease, once nothing else is due. What the server does not take is told again with the next one."""
        self._has_word = False
        if self._describe is None:
            return
        try:
            self._conversation.tell(self._describe())
        except Exception:  # noqa: BLE001 - a bug here must not end the thread that renews everything
            _log.exception("the server could not be told of this machine")

    def _ask(self, identity: PluginIdentity | None) -> Fresh | Granted | Ended | Failed:
        kept, at = self._holding.kept, self._clock()
        try:
            if identity is None:
                return self._conversation.lease(kept, at=at)
            return self._conversation.token(identity, kept, at=at)
        except Exception as error:  # noqa: BLE001 - a bug must not end the thread that renews everything
            _log.exception("the server could not be asked what the account may use")
            return Failed(f"the agent failed: {type(error).__name__}; see agent.log")

    def _adopt(self, duty: Duty, fresh: Fresh) -> None:
        is_changed = self._holding.adopt(fresh)
        duty.done(_interval(fresh.lease), now=time.monotonic())
        for one, token in self._token_duties.items():
            if is_changed or (self._holding.needs_renewal(one) and not token.failures):
                token.hurry()

    def _fail(self, duty: Duty, reason: str, least: float | None, needs_person: bool) -> None:
        if reason != duty.problem:
            _log.warning("%s with `%s…`: %s", self._destination.url, display(self._destination.key), reason)
        if needs_person:
            duty.refused(reason, now=time.monotonic())
        else:
            duty.failed(reason, now=time.monotonic(), least=least)

    def _said(self, reason: str, identity: PluginIdentity | None = None) -> str:
        return f"no token for the plugin `{identity.name}`: {reason}" if identity else reason

    def _notice_sleep(self) -> None:
        """After a sleep, or a clock that was set, everything signed may be out of date."""
        apart = self._apart()
        if abs(apart - self._clocks_apart) > CLOCK_JUMP_SECONDS:
            self._clocks_apart = apart
            self._hurry()

    def _apart(self) -> float:
        return self._clock() - time.monotonic()

    def _hurry(self) -> None:
        """The lease at once, and the tokens that are not fresh."""
        self._lease_duty.hurry()
        for one, duty in self._token_duties.items():
            if duty.failures or self._holding.needs_renewal(one):
                duty.hurry()


def _interval(lease: Lease) -> float:
    """When the server wants to be asked again, in seconds from now, whatever this machine's clock shows."""
    return float(min(max(lease.refresh_after - lease.iat, 0), LEASE_SECONDS))
