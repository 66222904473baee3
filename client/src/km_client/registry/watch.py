"""The agent's eye on one customer's registry: a refresh every few minutes, on a thread that nobody waits for.

    watch = Watch(destination); watch.start()
    watch.refusal(build)        why the build may not run, as of the last refresh by any process; None if it may
    watch.hurry()               something changed at the server: look now
    watch.stop(2.0)

What was blocked, yanked or taken from the customer is stopped within one refresh. Without a network the last good word
of the registry holds, and the lease decides for how long anything runs. TUF is loaded with the first refresh.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from km_client.agent.delivery import Destination
from km_client.entitlement.timetable import Duty
from km_client.errors import ClientError
from km_client.plugins.errors import RefusedError
from km_client.registry import activation, provisioning, standing
from km_client.registry.builds import Build
from km_client.registry.link import opened
from km_client.registry.place import Place
from km_client.registry.standing import Standings

REFRESH_SECONDS = 300.0  # half a kilobyte each time
_log = logging.getLogger(__name__)


class Watch:
    """One customer of one server, for as long as a session needs it."""

    def __init__(self, destination: Destination, place: Place, *, seconds: float = REFRESH_SECONDS) -> None:
        self.place = place
        self._destination, self._seconds = destination, seconds
        self._duty = Duty(random.uniform)
        self._changed = threading.Condition()
        self._is_stopping = False
        self._read_at: tuple[int, int] | None = None
        self._standings = Standings()
        self._thread = threading.Thread(target=self._run, name=f"registry at {place.url}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End after the refresh under way, waiting `timeout` seconds for it: what it writes down is true anyway."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        self._thread.join(max(0.0, timeout))

    def hurry(self) -> None:
        """Refresh at once."""
        with self._changed:
            self._duty.hurry()
            self._changed.notify_all()

    def builds(self) -> list[tuple[Path, Build]]:
        """The active ones, each with its directory."""
        return list(activation.installed(self.place))

    def refusal(self, build: Build) -> RefusedError | None:
        """Why `build` may not run now."""
        return self._current().refusal(build)

    def may_run(self, build: Build) -> bool:
        return self.refusal(build) is None

    def _current(self) -> Standings:
        """The file, read again when another process or this thread replaced it."""
        try:
            found = os.stat(self.place.state_file)  # noqa: PTH116 - ten times a second at most
            stamp = found.st_mtime_ns, found.st_ino
        except OSError:
            stamp = None
        if stamp != self._read_at:
            self._standings, self._read_at = standing.load(self.place), stamp
        return self._standings

    def _run(self) -> None:
        while self._wait():
            self._refresh()

    def _wait(self) -> bool:
        """Until a refresh is due; `False` when it is time to end."""
        with self._changed:
            while not self._is_stopping and (left := self._duty.due - time.monotonic()) > 0:
                self._changed.wait(left)
            self._duty.begin()
            return not self._is_stopping

    def _refresh(self) -> None:
        problem = ""
        try:
            with opened(self._destination) as link:
                done = provisioning.check(link, now=datetime.now(UTC))
            problem = "; ".join(f"{one.name} {one.version}: {one.error.message}" for one in done.failed)
        except ClientError as error:
            problem = error.message
        except Exception as error:  # noqa: BLE001 - a bug must not end the thread that sees what is blocked
            _log.exception("the registry could not be asked")
            problem = f"the agent failed: {type(error).__name__}; see agent.log"
        with self._changed:
            if problem and problem != self._duty.problem:
                _log.warning("plugins from %s: %s", self.place.url, problem)
            self._note(problem)

    def _note(self, problem: str) -> None:
        if problem:
            self._duty.failed(problem, now=time.monotonic())
        else:
            self._duty.done(self._seconds, now=time.monotonic())
