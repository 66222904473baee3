"""The plugins of this machine's sessions: which run, for whom, with what, and each session's events to its own.

    room.attend("run-1", session, destination)     a session is here; its events go through room.feed("run-1")
    room.round(config)                             starts, tells and stops, as `plugin_seat.decide` says
    room.leave("run-1")                            the session is understood to its end
    room.tell(now)                                 for `plugins list`, `status` and `doctor`

A plugin runs while a session feeds it, and a little longer to work on what it was fed. Whatever it does, or may not do,
the stream and the recording know nothing of it. gRPC is loaded when the first plugin is wanted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from km_protocol.envelope import Event
from km_protocol.errors import SettingsError

from km_client import paths
from km_client.agent.accounts import Accounts
from km_client.agent.delivery import Destination
from km_client.agent.harmless import harmless
from km_client.agent.installed_plugins import InstalledPlugins
from km_client.agent.plugin_reports import REPORT_FILE, ReportBook, report_now
from km_client.agent.plugin_seat import Seat, Standing, decide, name_taken, seat_for
from km_client.agent.tracker import Feed
from km_client.capture.spool import Session
from km_client.config import Config
from km_client.plugins.errors import RefusedError

if TYPE_CHECKING:
    from km_plugin_sdk.wire.plugin_pb2 import PluginConfig

    from km_client.agent.plugin_config import Access
    from km_client.agent.plugin_stage import PluginStage
    from km_client.plugins.discovery import PluginSpec
    from km_client.plugins.status import PluginStatus

DECIDING_SECONDS = 3.0  # how long a plugin waits for the server's first word before it starts with what is known
LOOK_SECONDS = 1.0  # what changes by the clock alone: a token, a lease
_log = logging.getLogger(__name__)


class PluginRoom:
    """All calls from the agent's thread."""

    def __init__(self, accounts: Accounts, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._book = ReportBook(paths.agent_dir() / REPORT_FILE)
        self._accounts, self._monotonic = accounts, monotonic
        self._installed = InstalledPlugins()
        self._seats: dict[str, Seat] = {}
        self._keys: dict[str, frozenset[str]] = {}  # run → the plugins it feeds
        self._stage: PluginStage | None = None
        self._config: Config | None = None
        self._seen: tuple[int, ...] = ()  # generation of the accounts
        self._look_at = 0.0

    @harmless(None)
    def attend(self, run: str, session: Session, destination: Destination | None) -> None:
        """A session is here, or belongs to another account now."""
        self.leave(run)
        account, url = (self._accounts.of(destination), destination.url) if destination else (None, "")
        keys, now = set(), self._monotonic()
        seats = [seat_for(path, session, account, url, since=now) for path in map(Path, session.plugins)]
        if destination:
            seats += self._installed.seats(session, destination, account, besides=seats, since=now)
        for seat in map(self._take_in, seats):
            seat.join(run, session.session_id, debug=session.debug)
            keys.add(seat.key)
            self._look_at = 0.0
        self._keys[run] = frozenset(keys)

    def feed(self, run: str) -> Feed:
        """What takes the events of `run`."""

        @harmless(None)
        def take(events: Sequence[Event]) -> None:
            if events and (keys := self._keys.get(run)):
                self._offer(events, [self._seats[key] for key in keys])

        return take

    @harmless(None)
    def leave(self, run: str) -> None:
        """Nothing more comes from `run`."""
        for key in self._keys.pop(run, ()):
            self._seats[key].leave(run, at=self._monotonic())
            self._look_at = 0.0

    def keep_accounts(self, needed: Collection[Destination]) -> None:
        """No session is of any other account."""
        self._accounts.keep_only(needed)
        self._installed.keep_only(needed)

    def is_busy(self) -> bool:
        """Whether a plugin has something to work on, or is to be stopped."""
        return any(seat.has_started or seat.kept for seat in self._seats.values())

    @harmless(None)
    def round(self, config: Config) -> None:
        """Look at every plugin, if something may have changed."""
        now, generation = self._monotonic(), self._accounts.generation()
        is_new = generation != self._seen or config is not self._config
        if self._seats and (is_new or now >= self._look_at or any(not seat.runs for seat in self._seats.values())):
            if generation != self._seen:  # another tier may mean other plugins
                self._installed.hurry()
            self._seen, self._config, self._look_at = generation, config, now + LOOK_SECONDS
            if self._stage and self._stage.level != config.sandbox:
                self._start_over()
            self._accounts.want(self._seats.values())
            statuses = self._stage.statuses() if self._stage else {}
            for seat in list(self._seats.values()):
                self._look(seat, statuses.get(seat.key), config)

    @harmless(True)
    def tell(self, now: datetime) -> bool:
        """Write down how all of them stand; whether that could be done."""
        statuses = self._stage.statuses() if self._stage else {}
        seated = [report_now(seat, statuses.get(seat.key), now) for seat in self._seats.values()]
        return self._book.write(seated, self._accounts.reports(), now=now)

    @harmless(None)
    def close(self) -> None:
        """Stop every plugin; none of their processes is left."""
        self._close_stage()
        self._accounts.keep_only(())
        self._installed.keep_only(())

    def _close_stage(self) -> None:
        if self._stage:
            self._stage.close()
            self._stage = None

    def _take_in(self, seat: Seat) -> Seat:
        """The seat to use: the one that is there, if it is for the same plugin and account."""
        there = self._seats.get(seat.key)
        if there and there.is_for_the_same(seat):
            if not there.has_started or self._has_failed(there):  # it may have been mended since
                there.begin_again_as(seat)
            return there
        if there and not there.runs:  # a newer build takes the place of one that only finishes its work
            if self._stage:
                self._stage.stop(there.key)
            self._seats[seat.key] = seat
            return seat
        if there:
            seat.trouble = name_taken(there)
            seat.key, seat.spec = f"{seat.key}@{seat.path.parent.name}", None
        if seat.trouble:
            _log.warning("plugin %s: %s. %s", seat.key, seat.trouble, seat.trouble.hint)
        return self._seats.setdefault(seat.key, seat)

    def _has_failed(self, seat: Seat) -> bool:
        status = self._stage.statuses().get(seat.key) if self._stage else None
        return status is not None and status.state in {"refused", "disabled"}

    def _offer(self, events: Sequence[Event], seats: Sequence[Seat]) -> None:
        for seat in seats:
            if seat.spec and not seat.has_started and not seat.missing and not seat.barred:
                seat.keep(events)
        started = [seat.key for seat in seats if seat.has_started]
        if started and self._stage:
            self._stage.offer(events, started)

    def _look(self, seat: Seat, status: PluginStatus | None, config: Config) -> None:
        self._installed.look(seat, status)
        if seat.spec is None:
            if not seat.runs:
                self._remove(seat, status)
            return
        from km_client.agent.plugin_config import Access, fingerprint  # noqa: PLC0415 - loads protobuf

        access = Access.of(seat)
        wished = self._configured(seat, access, config)
        held = wished is None or self._is_undecided(seat, access)
        seat.missing = frozenset() if held and not seat.has_started else access.missing(seat.spec.manifest)
        if seat.missing or seat.barred:
            seat.kept.clear()
        standing = Standing(
            held=held,
            missing=seat.missing,
            wanted=seat.is_wanted(idle=self._stage is None or self._stage.is_idle(seat.key), at=self._monotonic()),
            state=status.state if status else None,
            fingerprint=fingerprint(wished) if wished else seat.told,
            barred=seat.barred is not None,
        )
        step = decide(standing, seat)
        if step == "leave":
            self._remove(seat, status)
        elif step == "stop" and self._stage:
            seat.has_started = False
            self._stage.stop(seat.key)
        elif step == "tell" and self._stage and wished:
            seat.told = standing.fingerprint
            self._stage.tell(seat.key, wished)
        elif step == "start" and wished:
            seat.told = standing.fingerprint
            self._start(seat, seat.spec, wished, config)

    def _configured(self, seat: Seat, access: Access, config: Config) -> PluginConfig | None:
        """What the plugin should be told, or `None` while the person's settings for it are wrong."""
        from km_client.agent.plugin_config import build  # noqa: PLC0415

        assert seat.spec
        manifest = seat.spec.manifest
        try:
            given = config.plugin_settings(manifest.name)
            wished = build(manifest, access, given, debug=seat.debug, log_level=config.log_level)
        except SettingsError as error:
            listed = "; ".join(map(str, error.problems))
            hint = f"correct [plugins.{manifest.name}] in {paths.config_file()}"
            seat.trouble = RefusedError("settings_invalid", f"its settings are wrong: {listed}", hint)
            return None
        seat.trouble = None
        return wished

    def _is_undecided(self, seat: Seat, access: Access) -> bool:
        """Whether the server's first word is still to be waited for: it says what the plugin may do."""
        if seat.account is None or access.token or seat.account.report().problem:
            return False
        return self._monotonic() < seat.since + DECIDING_SECONDS

    def _start(self, seat: Seat, spec: PluginSpec, wished: PluginConfig, config: Config) -> None:
        """With `wished`, and with the events that were held back for it."""
        from km_client.agent.plugin_stage import PluginStage  # noqa: PLC0415 - loads gRPC

        if self._stage is None:
            self._stage = PluginStage(config.sandbox)
        self._stage.start(seat.key, spec, wished)
        seat.has_started = True
        self._stage.offer(seat.kept, [seat.key])
        seat.kept.clear()

    def _remove(self, seat: Seat, status: PluginStatus | None) -> None:
        self._book.remember(report_now(seat, status, datetime.now(UTC)))
        del self._seats[seat.key]
        if self._stage:
            self._stage.forget(seat.key)

    def _start_over(self) -> None:
        """By another level of the sandbox."""
        self._close_stage()
        for seat in self._seats.values():
            seat.has_started = False
