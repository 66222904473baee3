"""Installed plugins in the agent: real ones, in every session that may leave this machine, for as long as they may."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from km_client.registry import activation

from tests.client.agent.plugin_rig import PLUGIN, Rig, events, session
from tests.client.agent.test_plugin_room import World
from tests.client.registry.conftest import Laptop
from tests.client.registry.registry_server import CUSTOMER
from tests.end_to_end.waiting import eventually

NAME = "told"
WORKS = {"main.py": PLUGIN.encode()}
FAILS = {"main.py": PLUGIN.replace('print("told"', 'raise RuntimeError("it cannot"); print("told"').encode()}


class Agent(Rig):
    """A room for the laptop's account."""

    def __init__(self, laptop: Laptop) -> None:
        super().__init__(laptop.destination)
        self.laptop = laptop
        self.account.becomes("Pro")

    def begin(self, run: str = "run", *plugins: Path) -> None:
        self.room.attend(run, session(*plugins), self.laptop.destination)

    def look_again(self) -> None:
        """The account changed at the server, so the registry is asked."""
        self.account.becomes("Pro", f"feature_{time.monotonic_ns()}")


@pytest.fixture
def agent(laptop: Laptop) -> Iterator[Agent]:
    made = Agent(laptop)
    yield made
    made.room.close()


def install(laptop: Laptop, number: str = "1.0.0", files: dict[str, bytes] = WORKS) -> str:
    path = laptop.offer(number, NAME, files=files)
    assert laptop.refresh().installed
    return path


def test_it_runs_in_a_session_that_did_not_ask_for_it(laptop: Laptop, agent: Agent) -> None:
    install(laptop)
    agent.begin()
    agent.room.feed("run")(events(1, 2))
    row = agent.until("it has seen both", lambda row: row.handled == 2)
    assert (row.version, row.origin) == ("1.0.0", "registry")
    agent.until("it is proved", lambda _: activation.load(laptop.directory(NAME).parent).is_proved)


def test_it_does_not_run_in_a_session_that_stays_on_this_machine(laptop: Laptop, agent: Agent) -> None:
    install(laptop)
    agent.room.attend("run", session(local_only=True), None)
    agent.room.round(agent.config)
    assert not agent.reports()


def test_a_removed_one_does_not_run(laptop: Laptop, agent: Agent) -> None:
    install(laptop)
    activation.remove(laptop.directory(NAME).parent)
    agent.begin()
    agent.room.round(agent.config)
    assert not agent.reports()


def test_a_persons_own_copy_comes_first(laptop: Laptop, agent: Agent, tmp_path: Path) -> None:
    install(laptop)
    own = World(tmp_path / "own").plugin(NAME)
    agent.begin("run", own)
    row = agent.until("it runs", lambda row: row.state == "running")
    assert row.path == str(own) and list(agent.reports()) == [NAME]


@pytest.mark.parametrize("how", ["downgrade", "block"])
def test_what_may_not_run_any_more_stops_within_one_refresh_and_the_session_goes_on(
    laptop: Laptop, agent: Agent, how: str
) -> None:
    path = install(laptop)
    agent.begin()
    agent.until("it runs", lambda row: row.state == "running")
    if how == "downgrade":
        laptop.withdraw(path)
    else:
        laptop.registry.blocked = [{"name": NAME, "level": "hard", "reason": "it reads files"}]
        laptop.registry.publish_catalog()
    agent.look_again()
    state = "not_entitled" if how == "downgrade" else "blocked"
    row = agent.until("it is stopped", lambda row: row.state == state and row.pid is None)
    assert row.trouble and row.trouble.hint
    agent.room.feed("run")(events(1))
    laptop.registry.blocked = []
    laptop.offer("1.0.0", NAME, files=WORKS)
    agent.look_again()
    agent.until("it runs again", lambda row: row.state == "running")


def test_a_build_that_does_not_start_is_given_up_for_the_one_before(laptop: Laptop, agent: Agent) -> None:
    install(laptop, "1.0.0")
    install(laptop, "1.1.0", FAILS)
    agent.begin()
    agent.room.feed("run")(events(1))
    row = agent.until("the one before runs", lambda row: row.state == "running" and row.version == "1.0.0")
    assert row.version == "1.0.0"
    assert next(iter(activation.load(laptop.directory(NAME).parent).failed)).startswith("1.1.0")


def written(path: Path) -> bytes:
    """Nothing in the moment in which one directory takes another's place."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def test_a_build_changed_on_disk_is_not_started(laptop: Laptop, agent: Agent) -> None:
    install(laptop)
    agent.begin("one")
    agent.until("it runs", lambda row: row.state == "running")
    main = laptop.directory(NAME) / "plugin" / "main.py"
    main.chmod(0o600)
    main.write_bytes(PLUGIN.encode() + b"# more\n")
    agent.room.leave("one")
    agent.until("it ended", lambda row: row.state == "stopped")
    agent.begin("two")
    row = agent.until("it is refused", lambda row: row.trouble is not None)
    assert row.trouble and row.trouble.code == "plugin_tampered" and row.pid is None
    # It is fetched again by itself; the next session has it.
    eventually(lambda: written(main) == PLUGIN.encode(), within=20, what="it is fetched again")
    agent.begin("three")
    agent.until("it runs", lambda row: row.state == "running")


def test_a_changed_build_is_not_started_again_after_a_crash(laptop: Laptop, agent: Agent) -> None:
    """Each start is checked, those after a crash too."""
    install(laptop)
    agent.begin()
    row = agent.until("it runs", lambda row: row.state == "running")
    (laptop.directory(NAME) / "plugin" / "added.py").write_text("1")
    assert row.pid

    os.kill(row.pid, signal.SIGKILL)
    row = agent.until("it is refused", lambda row: row.state == "refused")
    assert row.trouble and row.trouble.code == "plugin_tampered"


def test_without_a_network_it_runs_by_the_last_word_of_the_registry(laptop: Laptop, agent: Agent) -> None:
    install(laptop)
    laptop.server.redirects[f"director/{CUSTOMER}/timestamp.json"] = "http://127.0.0.1:1/"
    agent.begin()
    agent.until("it runs", lambda row: row.state == "running")
