"""A machine of its own for each test, and the command line as a person uses it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from km_client import cli
from km_client.agent import presence

from tests.client.agent.conftest import machine, record, server
from tests.end_to_end.waiting import eventually

__all__ = ["machine", "record", "server"]


class Done(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


Km = Callable[..., Done]


@pytest.fixture
def km(machine: object, capsys: pytest.CaptureFixture[str]) -> Km:
    """`km("config", "get", "api_url")`: run `km-client` with these words."""

    def run(*words: str) -> Done:
        capsys.readouterr()
        code = cli.main(list(words))
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return run


@pytest.fixture
def with_agents(machine: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands may start the agent in this test; it ends with it."""
    monkeypatch.delenv("KM_AGENT")
    yield
    if (machine / "data").is_dir() and (pid := presence.running_pid()):
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: presence.running_pid() is None)
