"""What a relay does beside relaying, in a thread that nothing waits for: start the agent, keep the journals' cap.

housekeeper = Housekeeper(paths.journal_dir(), cap.CAP_BYTES, complain)
housekeeper.start()
housekeeper.wake()          when a segment is full: perhaps it is time to give up an old one
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path

from km_client.capture import cap
from km_client.errors import ClientError
from km_client.proxy.agent_starter import ensure_agent_running

AGENT_CHECK_SECONDS = 60.0  # an agent that was killed comes back while sessions run; the probe is one system call
SWITCH_SECONDS = 0.0002  # the longest this thread keeps the interpreter from the relay; Python's default is 5 ms


class Housekeeper(threading.Thread):
    """`complain(text)` is called at most once for each kind of trouble."""

    def __init__(self, journal_dir: Path, cap_bytes: int, complain: Callable[[str], None]) -> None:
        super().__init__(name="housekeeper", daemon=True)
        self.journal_dir = journal_dir
        self._cap_bytes = cap_bytes
        self._complain = complain
        self._complaints: set[str] = set()
        self._awake = threading.Event()
        self._has_called_the_agent = threading.Event()

    def wake(self) -> None:
        """Look after the cap now. Returns at once."""
        self._awake.set()

    def wait_for_agent(self, seconds: float) -> None:
        """Give the first start of the agent its time: a session may be over before this thread had its turn."""
        self._has_called_the_agent.wait(seconds)

    def run(self) -> None:
        sys.setswitchinterval(SWITCH_SECONDS)
        while True:
            self._try("the agent cannot be started, so nothing is shipped", ensure_agent_running)
            self._has_called_the_agent.set()
            self._try("the journals' size cannot be limited", lambda: cap.enforce(self.journal_dir, self._cap_bytes))
            self._awake.wait(AGENT_CHECK_SECONDS)
            self._awake.clear()

    def _try(self, trouble: str, action: Callable[[], object]) -> None:
        try:
            action()
        except (OSError, ClientError) as error:
            if trouble not in self._complaints:
                self._complaints.add(trouble)
                self._complain(f"{trouble}: {error}")
