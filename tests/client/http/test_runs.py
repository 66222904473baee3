"""Clients that begin at the same moment, and call themselves the same, are recorded each in a session of its own."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
from km_client.capture.exchanges import MESSAGE, Entry
from km_client.capture.journal import REQUEST
from km_client.capture.recording import Recording
from km_client.capture.spool import list_sessions
from km_client.proxy.http.runs import Runs

from tests.client.http.raw_http import entries


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    numbers = count(1)

    def opened() -> Recording:
        made = Recording(
            tmp_path / f"run-{next(numbers)}",
            {},
            on_failure=lambda error: pytest.fail(str(error)),
            on_rotation=lambda: None,
        )
        made.start()
        return made

    return Runs(opened)


def test_an_answer_that_comes_after_the_next_clients_beginning_loses_nothing(runs: Runs, tmp_path: Path) -> None:
    first = runs.begin(b"sdk 1.0")
    first.users = 1
    second = runs.begin(b"sdk 1.0")
    second.users = 1
    for run, session in ((first, b"a"), (second, b"b")):
        runs.bind(session, run)
        runs.release(run)
    for session in (b"a", b"b"):
        runs.of_session(session).write(REQUEST, Entry(MESSAGE, 1, 1, 4, b"of " + session))
    runs.finish()
    assert [[each.content for each in entries(spool, "request")] for spool in list_sessions(tmp_path)] == [
        [b"of a"],
        [b"of b"],
    ]
