"""A machine with recordings of its own for each test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from km_client.agent.local_log import LocalLog
from km_client.agent.outbox import Outbox
from km_client.agent.parcel import Parcel
from km_client.agent.redaction import RedactionRules, Redactor
from km_client.agent.tracker import tracker_for
from km_client.capture.spool import SessionSpool

from tests.client.agent.conftest import machine, record
from tests.client.agent.recorder import Recorded
from tests.client.commands.conftest import Km, km

__all__ = ["Km", "km", "machine", "record"]

Log = Callable[..., None]


class Server(Outbox):
    """One that stores everything at once."""

    def put(self, parcel: Parcel) -> None:
        parcel.unsettled = 0


@pytest.fixture
def log(machine: Path) -> Log:
    """Let an agent read what a session holds by now, write it into the log, and delete what it need not keep.

    With `ships` there is a server that takes it.
    """

    def read(session: Recorded, *, ships: bool = False) -> None:
        writer = LocalLog(machine / "data" / "log", 2**24)
        checkpoints = machine / "data" / "agent" / "checkpoints"
        spool = SessionSpool(session.path)
        tracker = tracker_for(spool, checkpoints, Redactor(RedactionRules()), writer, lambda _: None)
        while not tracker.is_removed and tracker.advance(Server() if ships else None):
            continue
        writer.close()

    return read
