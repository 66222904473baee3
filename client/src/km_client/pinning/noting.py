"""The agent's part: the lists of tools that recordings hold, taken into the pins of their servers.

    noter.note(run, session, [Listed(None, at_ns=…), Listed(b'{"jsonrpc":"2.0","id":2,"result":{"tools":…}}', at_ns=…)])

A list that cannot be read, or a file that cannot be, is said once in the agent's log, and by `km-client doctor`; it
holds up no session.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from km_client.capture.spool import Session
from km_client.errors import ClientError
from km_client.pinning import definitions, pin_file, spans
from km_client.pinning.pins import Change, Pins, Walk, identity_of

if TYPE_CHECKING:
    from km_client.agent.derivation import Listed

_log = logging.getLogger(__name__)


class Noter:
    """For all sessions of one agent."""

    def __init__(self) -> None:
        self._walks: dict[str, Walk] = {}
        self._said: set[str] = set()

    def note(self, run: str, session: Session, lists: Sequence[Listed]) -> None:
        """Take `lists`, in their order, into the pins of this run's server."""
        if not lists:
            return
        walk, known = self._walks.setdefault(run, Walk()), list[Change]()

        def change(pins: Pins) -> None:
            known.extend(pins.changes())
            for listed in lists:
                self._take(pins, walk, listed)

        try:
            pins = pin_file.update(identity_of(session._asdict()), change)
        except ClientError as error:
            self._say(error.message)
            return
        for each in set(pins.changes()) - set(known):
            _log.warning("server %s: the tool `%s` is %s", session.server_name, each.tool, each.kind)

    def leave(self, run: str) -> None:
        """The run is over."""
        self._walks.pop(run, None)

    def _take(self, pins: Pins, walk: Walk, listed: Listed) -> None:
        now_ns = time.time_ns()
        if listed.content is None:
            pins.begin(walk, at_ns=listed.at_ns, now_ns=now_ns)
            return
        try:
            text = listed.content.decode("utf-8", "surrogateescape")
            listing = definitions.read(text, spans.whole(text).start)
        except (ValueError, RecursionError) as error:
            self._say(f"server {pins.identity.name}: a list of its tools cannot be read: {error}")
            return
        if listing:
            pins.see(listing, walk, at_ns=listed.at_ns, now_ns=now_ns)

    def _say(self, problem: str) -> None:
        if problem not in self._said:
            self._said.add(problem)
            _log.warning("%s", problem)
