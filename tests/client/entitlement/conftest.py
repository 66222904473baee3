"""Accounts against a server that signs for real, on a clock that the test moves; each ends with its test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from km_client.agent.delivery import Destination
from km_client.entitlement.account import Account
from km_client.entitlement.lease_store import place_of
from km_client.entitlement.plugin_tokens import PluginIdentity
from km_client.entitlement.timetable import Duty
from km_protocol.api_keys import ApiKey

from tests.client.entitlement.lease_server import LeaseServer
from tests.end_to_end.waiting import eventually

BORN = 1_800_000_000
Jitter = Callable[[float, float], float]
Open = Callable[..., "Opened"]


class Clock:
    """Unix seconds that only a test moves."""

    def __init__(self) -> None:
        self.seconds = float(BORN)

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


class Opened(Account):
    """An account that counts how often it woke the agent."""

    def __init__(self, destination: Destination, place: Path, **options: Any) -> None:
        self.place = place
        self.woken = 0
        self.rounds = 0  # requests for the lease that are over and written down
        self._asked_for_lease = False
        super().__init__(destination, place, wake=self._count, **options)

    @property
    def thread(self) -> threading.Thread:
        return self._thread

    def _count(self) -> None:
        self.woken += 1

    def _perform(self, duty: Duty, identity: PluginIdentity | None) -> None:
        super()._perform(duty, identity)
        self._asked_for_lease = identity is None

    def _round(self) -> None:
        super()._round()
        self.rounds += self._asked_for_lease
        self._asked_for_lease = False

    def wait_for_state(self, state: str) -> None:
        eventually(lambda: self.now().state == state, within=20, what=f"the lease is {state}: {self.report()}")

    def refresh(self) -> None:
        """Ask for the lease now, and wait until the answer, or that there is none, was taken in."""
        before = self.rounds
        self.refresh_now()
        what = f"the lease was asked for: {self.report()}"
        eventually(lambda: self.rounds > before and self._lease_duty.due > 0, within=20, what=what)

    def wait_for_problem(self, words: str) -> None:
        eventually(lambda: words in self.report().problem, within=20, what=f"`{words}` is said: {self.report()}")


def _middle(low: float, high: float) -> float:
    return (low + high) / 2


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This test's own machine."""
    monkeypatch.setenv("KM_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[LeaseServer]:
    with LeaseServer(clock) as running:
        yield running


@pytest.fixture
def key(server: LeaseServer) -> ApiKey:
    """The key of a customer of the Pro tier."""
    return server.new_key()


@pytest.fixture
def open_account(data_dir: Path, server: LeaseServer, clock: Clock, key: ApiKey) -> Iterator[Open]:
    """`open_account()`: a started account of `key`, without spread and with half of each pause."""
    made: list[Opened] = []

    def start(of: ApiKey = key, *, place: Path | None = None, jitter: Jitter = _middle) -> Opened:
        destination = Destination(server.url, of)
        made.append(Opened(destination, place or place_of(destination), clock=clock, jitter=jitter))
        made[-1].start()
        return made[-1]

    yield start
    server.let_go.set()
    for account in made:
        account.stop(10.0)
        assert not account.thread.is_alive()
