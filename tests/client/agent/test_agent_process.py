"""The agent as a process: one at a time, killed at any moment, with servers, keys, disks and settings that fail."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from km_client import config_edit, credentials
from km_client.agent import state
from km_client.agent.local_log import log_files, read_lines
from km_client.agent.state import AgentState, SessionState
from km_protocol.api_keys import ApiKey

from tests.client.agent.conftest import Record
from tests.client.agent.recorder import STEP_NS, Recorded, answer, call
from tests.end_to_end.waiting import eventually
from tests.fakes.ingest_server import IngestServer

Agent = subprocess.Popen[bytes]
StartAgent = Callable[..., Agent]


@pytest.fixture
def start_agent(machine: Path) -> Iterator[StartAgent]:
    """`start_agent()`: a real agent process on this test's machine."""
    agents: list[Agent] = []

    def start(**more: Any) -> Agent:
        agents.append(
            subprocess.Popen(
                [sys.executable, "-m", "km_client.agent"], stdin=subprocess.DEVNULL, start_new_session=True, **more
            )
        )
        return agents[-1]

    yield start
    for agent in agents:
        agent.kill()
        agent.wait(10)


@pytest.fixture
def signed_in(machine: Path, server: IngestServer) -> ApiKey:
    """This machine has a key of the server."""
    key = server.new_key()
    sign_in(server.url, key)
    return key


def sign_in(url: str, key: ApiKey) -> None:
    config_edit.set_value("api_url", url)
    credentials.save(key)


def told(machine: Path) -> AgentState | None:
    return state.read(machine / "data" / "agent" / "state.json")


def session_state(machine: Path, run: str) -> SessionState | None:
    now = told(machine)
    return next((session for session in now.sessions if session.run == run), None) if now else None


def problem_told(machine: Path) -> str:
    now = told(machine)
    return now.problem if now else ""


def reason_told(machine: Path) -> str:
    """Why a delivery waits."""
    now = told(machine)
    return next((health.reason for health in now.deliveries if health.reason), "") if now else ""


def logged(machine: Path) -> list[dict[str, Any]]:
    lines = [line for path in log_files(machine / "data" / "log") for line, _ in read_lines(path)]
    return [json.loads(line) for line in lines]


def is_gone(session: Recorded) -> bool:
    return not session.path.exists()


@pytest.mark.usefixtures("signed_in")
def test_agents_killed_under_load_lose_nothing_and_repeat_nothing(
    machine: Path, server: IngestServer, record: Record, start_agent: StartAgent
) -> None:
    sessions = [record(f"run-{number}", segment_bytes=100_000) for number in range(2)]
    lines = [
        (call(f"{number}-{session.path.name}"), answer(f"{number}-{session.path.name}"), session)
        for number in range(2500)
        for session in sessions
    ]

    def talk() -> None:
        for number, (asked, answered, session) in enumerate(lines):
            if number % 50:
                session.request(asked)
                session.response(answered)
            else:  # a peer that did not read held the request up: it is recorded after its answer
                session.response(answered)
                session.request(asked, at_ns=session.now_ns - STEP_NS // 2)

    talking = threading.Thread(target=talk)
    talking.start()
    for round_number in range(6):
        agent = start_agent()
        goal = server.received + 300 + 400 * round_number
        eventually(lambda goal=goal: server.received >= goal or len(server.stored) == 2 * len(lines))  # type: ignore[misc]
        agent.send_signal(signal.SIGKILL)
        agent.wait(10)
    talking.join(60)
    for session in sessions:
        session.end()
    start_agent()
    eventually(lambda: all(map(is_gone, sessions)), within=60)
    sent = Counter(line.strip() for asked, answered, _ in lines for line in (asked, answered))
    assert Counter(server.messages()) == sent
    assert Counter(event["id"] for event in logged(machine)) == Counter(dict.fromkeys(server.stored, 1))


def test_of_agents_started_at_once_one_stays(machine: Path, record: Record, start_agent: StartAgent) -> None:
    record()
    agents = [start_agent() for _ in range(4)]
    eventually(lambda: sum(agent.poll() is None for agent in agents) == 1)
    (survivor,) = [agent for agent in agents if agent.poll() is None]
    eventually(lambda: (machine / "data" / "agent" / "agent.lock").read_text().strip() == str(survivor.pid))
    assert {agent.poll() for agent in agents} == {0, None}
    survivor.terminate()
    assert survivor.wait(10) == 0


@pytest.mark.usefixtures("signed_in")
def test_an_agent_leaves_when_there_is_nothing_to_do_and_stays_while_a_session_lives(
    machine: Path, record: Record, start_agent: StartAgent
) -> None:
    config_edit.set_value("agent.idle_seconds", "0.2")
    session = record()
    session.request(call(1))
    agent = start_agent()
    first = eventually(lambda: told(machine))
    eventually(lambda: (now := told(machine)) and now.updated_at > first.updated_at)
    assert agent.poll() is None
    session.end()
    assert agent.wait(20) == 0
    assert is_gone(session)
    last = told(machine)
    assert last is not None and (last.totals.sessions, last.totals.shipped) == (1, 1)


def test_without_a_key_everything_is_kept_and_logged_and_shipped_as_soon_as_there_is_one(
    machine: Path, server: IngestServer, record: Record, start_agent: StartAgent
) -> None:
    session = record()
    session.request(call(1))
    session.end()
    start_agent()
    waiting = eventually(lambda: session_state(machine, "run-1"))
    assert waiting.problem == "no API key: run `km-client login`"
    assert (waiting.events, waiting.waiting_events, waiting.is_live) == (1, 1, False)
    assert len(logged(machine)) == 1
    sign_in(server.url, server.new_key())
    eventually(lambda: is_gone(session))
    assert server.messages() == [call(1).strip()]


def test_each_run_ships_with_its_own_key_and_a_downed_server_holds_up_only_its_own(
    machine: Path, signed_in: ApiKey, server: IngestServer, record: Record, start_agent: StartAgent
) -> None:
    with IngestServer() as other:
        own_key = other.new_key()
        other.stop()
        held_up = record("run-1", api_key=own_key, api_url=other.url)
        ordinary = record("run-2")
        misled = record("run-3", api_key="km_live_mistyped")
        for session in (held_up, ordinary, misled):
            session.request(call(1))
            session.end()
        start_agent()
        eventually(lambda: is_gone(ordinary))
        assert len(server.stored) == 1
        waiting = eventually(lambda: session_state(machine, "run-3"))
        assert "not a Kilometers API key" in waiting.problem
        other.start()
        eventually(lambda: is_gone(held_up))
        assert len(other.stored) == 1
        assert not is_gone(misled)


def test_while_the_settings_are_wrong_nothing_is_logged_or_shipped(
    machine: Path, signed_in: ApiKey, server: IngestServer, record: Record, start_agent: StartAgent
) -> None:
    settings = machine / "config" / "config.toml"
    good = settings.read_text()
    settings.write_text(good + '[redaction.patterns]\nticket = "TICKET-["\n')
    session = record()
    session.request(call(1, text="TICKET-7"))
    start_agent()
    problem = eventually(lambda: problem_told(machine))
    assert "redaction.patterns.ticket" in problem
    assert not logged(machine) and not server.stored
    settings.write_text(good + '[redaction.patterns]\nticket = "TICKET-[0-9]+"\n')
    eventually(lambda: server.stored)
    assert b"[redacted:ticket]" in server.messages()[0]
    assert "TICKET-7" not in json.dumps(logged(machine))


@pytest.mark.usefixtures("signed_in")
def test_a_journal_that_is_no_journal_is_set_aside_and_holds_up_nothing(
    machine: Path, server: IngestServer, record: Record, start_agent: StartAgent
) -> None:
    broken, described_wrongly, good = record("run-1"), record("run-2"), record("run-3")
    for session in (broken, described_wrongly, good):
        session.request(call(session.path.name))
        session.response(answer(session.path.name))
        session.end()
    (broken.path / "request-00000001.kmj").write_bytes(b"this is no journal segment at all")
    (described_wrongly.path / "session.json").write_text("{")
    described_strangely = record("run-4", server_name=None, session_id=7)
    start_agent()
    eventually(lambda: is_gone(broken) and is_gone(good))
    by_method = Counter(event.method for event in server.stored.values())
    assert by_method == {"kilometers/recording_gap": 1, None: 1, "tools/call": 2}
    assert (machine / "data" / "refused" / "run-1-request-00000001.kmj").read_bytes().startswith(b"this is no journal")
    trouble = eventually(lambda: session_state(machine, "run-2"))
    assert "cannot be read" in trouble.problem
    assert described_wrongly.path.exists() and described_strangely.path.exists()


@pytest.mark.usefixtures("signed_in")
def test_a_server_down_for_a_while_gets_everything_when_it_is_back(
    machine: Path, server: IngestServer, record: Record, start_agent: StartAgent
) -> None:
    server.stop()
    session = record(segment_bytes=20_000)
    start_agent()
    for number in range(300):
        session.request(call(number))
    assert "cannot reach" in eventually(lambda: reason_told(machine))
    eventually(lambda: len(logged(machine)) == 300)
    server.start()
    session.end()
    eventually(lambda: is_gone(session))
    assert server.messages() == [call(number).strip() for number in range(300)]


@pytest.mark.usefixtures("signed_in")
def test_on_a_disk_with_no_room_the_agent_ships_and_says_what_it_could_not_log(
    machine: Path, server: IngestServer, record: Record, start_agent: StartAgent
) -> None:
    session = record()
    for number in range(200):
        session.request(call(number))
    start_agent(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000)))
    eventually(lambda: len(server.stored) == 200)
    eventually(lambda: (now := told(machine)) and now.totals.unlogged == 200)
    session.end()
    eventually(lambda: is_gone(session))


def test_a_server_that_never_answers_does_not_keep_the_agent_from_ending(
    machine: Path, server: IngestServer, record: Record, start_agent: StartAgent
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sign_in(f"http://127.0.0.1:{silent.getsockname()[1]}", server.new_key())
        session = record()
        session.request(call(1))
        agent = start_agent()
        connection, _ = silent.accept()
        with connection:
            agent.terminate()
            assert agent.wait(15) == 0
    assert not is_gone(session)


@pytest.mark.usefixtures("signed_in")
def test_local_sessions_stay_here_and_secrets_never_leave(
    machine: Path, server: IngestServer, record: Record, start_agent: StartAgent
) -> None:
    local, shipped = record("run-1", local_only=True), record("run-2")
    for session in (local, shipped):
        session.request(call(1, text="password=hunter2"))
        session.end()
    start_agent()
    eventually(lambda: is_gone(local) and is_gone(shipped))
    assert len(server.stored) == 1
    assert len(logged(machine)) == 2
    everything = b"".join(path.read_bytes() for path in (machine / "data").rglob("*") if path.is_file())
    assert b"hunter2" not in everything + b"".join(server.messages())
    eventually(lambda: (now := told(machine)) is not None and now.totals.redacted == {"password": 2})


def test_leftovers_of_a_killed_agent_are_cleaned_up(machine: Path, start_agent: StartAgent) -> None:
    checkpoints, journal = machine / "data" / "agent" / "checkpoints", machine / "data" / "journal"
    checkpoints.mkdir(parents=True)
    (checkpoints / "run-0.checkpoint").write_bytes(b"of a session that is gone")
    (journal / ".run-0.done").mkdir(parents=True)
    (journal / ".run-0.done" / "status").write_bytes(b"")
    start_agent()
    eventually(lambda: not list(checkpoints.iterdir()) and not list(journal.iterdir()))


def test_the_environment_of_whoever_started_the_agent_does_not_choose_for_others(
    machine: Path, signed_in: ApiKey, server: IngestServer, record: Record, start_agent: StartAgent
) -> None:
    session = record()
    session.request(call(1))
    session.end()
    start_agent(env={**os.environ, "KM_API_KEY": "km_live_wrong", "KM_API_URL": "http://127.0.0.1:9"})
    eventually(lambda: is_gone(session))
    assert len(server.stored) == 1
