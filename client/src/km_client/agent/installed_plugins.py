"""Plugins from the registry in the agent: they run in every session that may leave this machine, for its account.

    installed.seats(session, destination, account, besides=seats, since=now)     one for each active build
    installed.look(seat, status)        blocked, taken back, proved, or given up for the build before it
    installed.hurry()                   what the account may do has changed: ask the registry now

Nothing of the registry is loaded where nothing was ever installed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from km_client import paths
from km_client.agent.delivery import Destination
from km_client.agent.plugin_seat import ENDED, Seat, key_for
from km_client.capture.spool import Session
from km_client.errors import ClientError
from km_client.plugins.errors import PluginError

if TYPE_CHECKING:
    from km_client.entitlement.account import Account
    from km_client.plugins.status import PluginStatus
    from km_client.registry.watch import Watch

STOP_SECONDS = 2.0
_FAILED = frozenset({"refused", "disabled"})
_log = logging.getLogger(__name__)


class InstalledPlugins:
    """A watch for each account that has a registry. All calls from the agent's thread."""

    def __init__(self) -> None:
        self._watches: dict[Destination, Watch] = {}

    def seats(
        self,
        session: Session,
        destination: Destination,
        account: Account | None,
        *,
        besides: Sequence[Seat],
        since: float,
    ) -> list[Seat]:
        """One for each active build, but for those of the names in `besides`: a person's own copy comes first."""
        watch = self._watch(destination)
        if watch is None:
            return []
        taken = {seat.key for seat in besides}
        found = []
        for directory, build in watch.builds():
            key = key_for(build.name, session)
            if key not in taken:
                seat = Seat(key, directory, account, destination.url, since)
                self._fill(seat, watch)
                found.append(seat)
        return found

    def hurry(self) -> None:
        for watch in self._watches.values():
            watch.hurry()

    def keep_only(self, needed: Collection[Destination]) -> None:
        """Stop watching for accounts no session needs."""
        unneeded = [self._watches.pop(to) for to in list(self._watches) if to not in needed]
        deadline = time.monotonic() + STOP_SECONDS
        for watch in unneeded:
            watch.stop(max(0.0, deadline - time.monotonic()))

    def look(self, seat: Seat, status: PluginStatus | None) -> None:
        """Note why it may not run, that it did run, or that another build runs in its place."""
        if seat.installed is None:
            return
        watch, build = seat.installed.watch, seat.installed.build
        seat.barred = watch.refusal(build)
        state = status.state if status else None
        try:
            if state == "running" and seat.has_started:
                seat.installed.prove()
            elif state in _FAILED and seat.has_started and not seat.installed.is_proved:
                why = status.trouble.message if status and status.trouble else str(state)
                if seat.installed.give_up(why):
                    self._fill(seat, watch)
        except ClientError as error:  # a refresh is under way, or the disk is full: at the next look
            _log.debug("plugin %s: %s", seat.key, error.message)
        if seat.barred and state in ENDED and seat.installed.is_superseded():
            self._fill(seat, watch)

    def _fill(self, seat: Seat, watch: Watch) -> None:
        """Give the seat the build that is active now, to be started."""
        from km_client.registry.installed import Installed, spec_of  # noqa: PLC0415 - see the module's promise

        name = seat.installed.build.name if seat.installed else seat.path.parent.name
        found = next(((at, build) for at, build in watch.builds() if build.name == name), None)
        if found is None:
            return
        seat.path, build = found
        seat.installed, seat.barred, seat.has_started = Installed(watch, seat.path, build), watch.refusal(build), False
        try:
            seat.spec = spec_of(seat.path, build, private=(paths.config_dir(), paths.data_dir()))
            seat.trouble = None
        except PluginError as error:
            seat.spec, seat.trouble = None, error
            watch.hurry()  # which fetches again what was damaged

    def _watch(self, destination: Destination) -> Watch | None:
        """The account's watch; none where its registry was never used on this machine."""
        if destination in self._watches:
            return self._watches[destination]
        if not paths.registry_dir().is_dir():
            return None
        from km_client.registry import place as places  # noqa: PLC0415 - see the module's promise
        from km_client.registry.watch import Watch  # noqa: PLC0415

        place = places.known(destination)
        if place is None or not place.is_set_up():
            return None
        watch = self._watches[destination] = Watch(destination, place)
        watch.start()
        return watch
