"""Faults in mid-load: the stream goes on unharmed, nothing acknowledged is lost, nothing is stored twice."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from tests.end_to_end.answer_thief import AnswerThief
from tests.end_to_end.laptop import Laptop
from tests.end_to_end.production_checks import assert_only_503
from tests.end_to_end.production_load import Load
from tests.end_to_end.raw_client import RawClient
from tests.end_to_end.service import Account, Service
from tests.end_to_end.test_stored import assert_everything_stored, assert_stored_as_sent, messages
from tests.end_to_end.waiting import eventually

SERVERS = Path(__file__).resolve().parent.parent / "mcp_servers"
ECHO = [sys.executable, str(SERVERS / "echo_server.py")]
PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}\n'
LOAD = 2000  # calls: some batches, so that a fault falls into the middle of shipping


def monitored(laptop: Laptop, session_id: str) -> RawClient:
    return RawClient(laptop.monitor_command(*ECHO, session_id=session_id), laptop.environment)


def load(client: RawClient, calls: int = LOAD, *, halfway: Callable[[], object] = lambda: None) -> None:
    """`calls` calls, each answered before the next; `halfway` is the fault."""
    client.initialize("2025-11-25")
    for number in range(calls):
        if number == calls // 2:
            halfway()
        text = f"call {number} " + "x" * 500
        assert client.call_tool("echo", {"text": text})["result"]["content"][0]["text"] == text


def test_a_session_while_the_server_is_down_is_stored_when_it_is_back(
    laptop: Laptop, own_service: Service, session_id: str
) -> None:
    laptop.init(own_service.create_customer(), own_service.url)
    own_service.stop()
    with monitored(laptop, session_id) as client:
        load(client)
        assert client.finish() == 0
    eventually(lambda: "reach" in laptop.km("status").stdout, what="`status` says that the server cannot be reached")
    own_service.start()
    laptop.wait_until_shipped(within=120)  # the agent backs off for up to a minute
    assert_everything_stored(client, own_service, session_id)


@pytest.mark.parametrize("word", ["run_web", "run_worker"])
def test_kill_9_of_a_server_process_in_mid_load_loses_nothing(
    word: str, laptop: Laptop, own_service: Service, session_id: str
) -> None:
    laptop.init(own_service.create_customer(), own_service.url)

    def fault() -> None:
        victims = own_service.children(word)
        assert victims, f"`serve` runs no {word}"
        for victim in victims:
            victim.kill()

    with monitored(laptop, session_id) as client:
        load(client, halfway=fault)
        client.finish()
    laptop.wait_until_shipped()
    assert_everything_stored(client, own_service, session_id)
    eventually(lambda: own_service.children(word), what=f"`serve` has started {word} again")
    assert own_service.is_ready()


def test_kill_9_of_the_whole_service_in_mid_load_loses_nothing(
    laptop: Laptop, own_service: Service, session_id: str
) -> None:
    laptop.init(own_service.create_customer(), own_service.url)
    with monitored(laptop, session_id) as client:
        load(client, halfway=own_service.kill)
        client.finish()
    own_service.start()
    laptop.wait_until_shipped()
    assert_everything_stored(client, own_service, session_id)


def test_an_answer_that_never_arrives_stores_nothing_twice(
    laptop: Laptop, service: Service, account: Account, session_id: str
) -> None:
    with AnswerThief(service.url, thefts=2) as thief:
        laptop.init(account, thief.url)
        with monitored(laptop, session_id) as client:
            load(client)
            client.finish()
        laptop.wait_until_shipped()
    assert thief.stolen == 2
    assert_everything_stored(client, service, session_id)


def test_kill_9_of_the_agent_after_its_batch_was_stored_stores_nothing_twice(
    laptop: Laptop, service: Service, account: Account, session_id: str
) -> None:
    def fault() -> None:
        for agent in laptop.agents():
            agent.kill()
            agent.wait(10)

    with AnswerThief(service.url, thefts=1, on_theft=fault) as thief:
        laptop.init(account, thief.url)
        with monitored(laptop, session_id) as client:
            load(client)
            client.finish()
        eventually(lambda: thief.stolen, what="the agent is killed before it learns that its batch is stored")
        assert laptop.km("agent", "start").returncode == 0
        laptop.wait_until_shipped()
    assert_everything_stored(client, service, session_id)


def test_kill_9_of_the_relay_loses_at_most_the_answer_under_way(
    signed_in: Laptop, service: Service, session_id: str
) -> None:
    """The relay forwards first and records then: killed between the two, it has not recorded the last answer."""
    with monitored(signed_in, session_id) as client:
        load(client)
        client.process.kill()
        client.wait()
    signed_in.wait_until_shipped()
    to_server, from_server = bytes(client.sent), bytes(client.received)
    all_of_them = len(messages(to_server) + messages(from_server))
    events = service.wait_until_stored(session_id, all_of_them - 1)
    if len(events) < all_of_them:
        from_server = from_server[: from_server.rstrip(b"\n").rindex(b"\n") + 1]
    assert_stored_as_sent(events, to_server, from_server)


def test_two_monitors_at_once_share_one_agent_and_keep_their_sessions_apart(
    signed_in: Laptop, service: Service, session_id: str
) -> None:
    one, two = f"{session_id}-1", f"{session_id}-2"
    with monitored(signed_in, one) as first, monitored(signed_in, two) as second:
        first.initialize("2025-11-25")
        second.initialize("2025-06-18")
        for number in range(50):
            first.call_tool("echo", {"text": f"first {number}"})
            second.call_tool("echo", {"text": f"second {number}"})
        eventually(lambda: len(signed_in.agents()) == 1, what="one agent runs")  # one that is second leaves
        first.finish()
        second.finish()
    assert_everything_stored(first, service, one)
    assert_everything_stored(second, service, two)


@pytest.fixture
def tiny_disk(laptop: Laptop) -> Iterator[Path]:
    """The laptop's data directory on a file system of 1 MiB."""
    laptop.data_dir.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(laptop.data_dir)]
    if os.getuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a full disk needs root and the right to mount a tmpfs")
    yield laptop.data_dir
    laptop.shut_down()
    subprocess.run(["umount", "--lazy", str(laptop.data_dir)], check=True)


@pytest.mark.parametrize("number", range(3))
def test_a_session_that_is_over_at_once_is_shipped_all_the_same(
    signed_in: Laptop, service: Service, session_id: str, number: int
) -> None:
    """Each on a laptop whose agent has never run: the session may be over before there was time to start it."""
    command = signed_in.monitor_command("printf", PING, session_id=session_id)
    with RawClient(command, signed_in.environment) as client:
        assert client.finish() == 0
    assert len(service.wait_until_stored(session_id, 1)) == 1, f"try {number}"


def test_a_full_disk_stops_the_recording_never_the_stream_and_is_reported(
    laptop: Laptop, own_service: Service, session_id: str, tiny_disk: Path
) -> None:
    laptop.init(own_service.create_customer(), own_service.url)
    own_service.stop()  # nothing can be shipped, so the journal fills the disk
    with monitored(laptop, session_id) as client:
        client.initialize("2025-11-25")
        for _ in range(8):
            assert len(client.call_tool("fill", {"bytes": 400_000})["result"]["content"][0]["text"]) == 400_000
        assert client.finish() == 0
    assert "disk" in laptop.km("doctor").stdout.lower()
    own_service.start()
    gaps = eventually(
        lambda: [event for event in own_service.stored(session_id) if event.method == "kilometers/recording_gap"],
        within=60,
        what="the loss is reported as data",
    )
    assert "disk_full" in gaps[0].message
    kept = [event for event in own_service.stored(session_id) if event.method != "kilometers/recording_gap"]
    assert kept, "what fitted on the disk is stored"


@pytest.fixture
def service_on_a_tiny_disk(tmp_path: Path) -> Iterator[Service]:
    """A service whose data directory is a file system of 64 MiB."""
    directory = tmp_path / "service"
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(directory)]
    if os.getuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a full disk needs root and the right to mount a tmpfs")
    service = Service(directory).start()
    yield service
    service.stop()
    subprocess.run(["umount", "--lazy", str(directory)], check=True)


def test_a_full_disk_of_the_service_is_answered_503_and_space_is_all_it_needs(service_on_a_tiny_disk: Service) -> None:
    service = service_on_a_tiny_disk
    key, ballast = service.create_customer(tier="enterprise").api_key, service.data_dir / "ballast"
    with Load(("127.0.0.1", service.port), key, senders=2) as sent:
        sent.await_batches(10)
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(2**16))
        eventually(lambda: sent.answers.refusals.get(503, 0) > 5, what="requests are answered 503")
        ballast.unlink()
        sent.await_batches(10)
    assert_only_503(sent)
    eventually(lambda: sent.acknowledged <= stored_ids(service), what="all that was acknowledged is stored")


def stored_ids(service: Service) -> set[str]:
    """Of all events."""
    path = service.data_dir / "kilometers.sqlite3"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as database:
        return {str(UUID(row[0])) for row in database.execute("SELECT id FROM events_event")}


def test_an_unusable_data_directory_costs_the_recording_never_the_stream(laptop: Laptop, session_id: str) -> None:
    laptop.data_dir.parent.mkdir(parents=True)
    laptop.data_dir.write_text("a file where a directory should be")
    with monitored(laptop, session_id) as client:
        load(client, 20)
        assert client.finish() == 0
    assert str(laptop.data_dir) in client.errors.decode()
