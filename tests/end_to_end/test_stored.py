"""What was sent is what is stored: every message, its exact text, once, in its order."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import anyio
import pytest
from mcp import Client, MCPError, StdioServerParameters

from tests.end_to_end.hostile import STREAMS, frames
from tests.end_to_end.laptop import Laptop
from tests.end_to_end.raw_client import RawClient
from tests.end_to_end.service import Account, Service, StoredEvent

ROOT = Path(__file__).resolve().parent.parent.parent
SERVERS = ROOT / "tests" / "mcp_servers"
TEE = [sys.executable, str(ROOT / "scripts" / "recording_tee.py")]
BLANKS = b" \t\r"  # JSON's whitespace round a message is no part of it


def messages(stream: bytes) -> list[bytes]:
    """The messages of a stream without batches, as they should be stored."""
    stripped = (frame.strip(BLANKS) for frame in frames(stream))
    return [frame for frame in stripped if frame]


def stored_bytes(event: StoredEvent) -> bytes:
    text = event.message.encode("utf-8")
    return (base64.b64decode(text, validate=True) if event.is_base64 else text).strip(BLANKS)


def assert_stored_as_sent(events: list[StoredEvent], to_server: bytes, from_server: bytes, name: str = "") -> None:
    """Every message of both directions is there once, with its bytes, in the order it was sent."""
    assert len({event.id for event in events}) == len(events), f"{name}: stored twice"
    assert len({event.sequence for event in events}) == len(events), f"{name}: one place, two events"
    for direction, stream in (("request", to_server), ("response", from_server)):
        kept = [stored_bytes(event) for event in events if event.direction == direction]
        assert kept == messages(stream), f"{name}: {direction}"


def assert_everything_stored(client: RawClient, service: Service, session_id: str) -> None:
    """Both streams as the client saw them are stored."""
    to_server, from_server = bytes(client.sent), bytes(client.received)
    events = service.wait_until_stored(session_id, len(messages(to_server) + messages(from_server)))
    assert_stored_as_sent(events, to_server, from_server)


def test_hostile_streams_are_stored_byte_for_byte(
    signed_in: Laptop, service: Service, session_id: str, tmp_path: Path
) -> None:
    streams = {name: stream for name, stream in STREAMS.items() if name != "a batch"}  # its elements are stored apart
    for number, stream in enumerate(streams.values()):
        sent, record = tmp_path / f"sent-{number}", tmp_path / f"record-{number}"
        sent.write_bytes(stream)
        server = [sys.executable, str(SERVERS / "raw_server.py"), "--send", str(sent), "--record", str(record)]
        with RawClient(
            signed_in.monitor_command(*server, session_id=f"{session_id}-{number}"), signed_in.environment
        ) as client:
            client.send(stream)
            assert client.finish() == 0
    signed_in.wait_until_shipped()
    for number, (name, stream) in enumerate(streams.items()):
        expected = 2 * len(messages(stream))
        events = service.wait_until_stored(f"{session_id}-{number}", expected)
        assert_stored_as_sent(events, stream, stream, name)


def test_each_element_of_a_batch_is_stored_with_its_own_bytes(
    signed_in: Laptop, service: Service, session_id: str
) -> None:
    server = [sys.executable, str(SERVERS / "echo_server.py")]
    first, second = (
        b'{"jsonrpc":"2.0", "id":"a", "method":"ping"}',
        b'{"jsonrpc":"2.0","method":"x","params":{"n":1.00}}',
    )
    with RawClient(signed_in.monitor_command(*server, session_id=session_id), signed_in.environment) as client:
        client.send(b"[ " + first + b" , " + second + b" ]\n")
        assert client.answer("a")["result"] == {}
        client.finish()
    events = service.wait_until_stored(session_id, 3)
    assert [stored_bytes(event) for event in events if event.direction == "request"] == [first, second]


# What to ask of each real server: the tool that succeeds, and the call that fails.
CALLS: dict[str, list[tuple[str, dict[str, object]]]] = {
    "git": [
        ("git_log", {"repo_path": str(ROOT), "max_count": 2}),
        ("git_show", {"repo_path": str(ROOT), "revision": "x"}),
    ],
    "time": [("get_current_time", {"timezone": "UTC"}), ("get_current_time", {"timezone": "No/Where"})],
    "fetch": [("fetch", {"url": "SERVICE/health"}), ("fetch", {"url": "http://127.0.0.1:1/nobody-listens"})],
    "everything": [("echo", {"message": "Grüße \u2028 🦑"}), ("no-such-tool", {})],
    "filesystem": [("list_directory", {"path": str(SERVERS)}), ("read_text_file", {"path": "/etc/hostname"})],
    "memory": [("read_graph", {}), ("create_entities", {"entities": "not a list"})],
}
ARGUMENTS = {
    "git": ["--repository", str(ROOT)],
    "fetch": ["--allow-private-ips", "--ignore-robots-txt"],
    "filesystem": [str(SERVERS)],
}


async def visit(command: list[str], environment: dict[str, str], mode: str, name: str, service_url: str) -> None:
    """List the tools and make the calls; an error is an answer like another."""
    server = StdioServerParameters(command=command[0], args=command[1:], env=environment)
    async with Client(server, mode=mode, read_timeout_seconds=60) as client:
        assert (await client.list_tools()).tools
        for tool, arguments in CALLS[name]:
            try:
                await client.call_tool(tool, {key: _placed(value, service_url) for key, value in arguments.items()})
            except MCPError as error:
                assert error.error.message


def _placed(value: object, service_url: str) -> object:
    return value.replace("SERVICE", service_url) if isinstance(value, str) else value


@pytest.fixture
def unredacted(laptop: Laptop, account: Account, service: Service) -> Laptop:
    """Redaction is off: the text of a commit may look like a secret, and here it is compared byte for byte."""
    laptop.configure("[redaction]\nenabled = false\n")
    laptop.init(account, service.url)
    return laptop


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize("name", CALLS)
def test_a_session_with_a_real_server_is_stored_as_it_was_sent(
    name: str,
    mode: str,
    unredacted: Laptop,
    service: Service,
    session_id: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    fixture = "pypi_server" if name in ("git", "time", "fetch") else "npm_server"
    command = [*request.getfixturevalue(fixture)[name], *ARGUMENTS.get(name, [])]
    relay = unredacted.monitor_command(*TEE, str(tmp_path / "inside"), "--", *command, session_id=session_id, name=name)
    environment = unredacted.environment | {"MEMORY_FILE_PATH": str(tmp_path / "memory.jsonl")}
    anyio.run(visit, [*TEE, str(tmp_path / "outside"), "--", *relay], environment, mode, name, service.url)
    to_server, from_server = ((tmp_path / "inside" / stream).read_bytes() for stream in ("to_server", "from_server"))
    assert (tmp_path / "outside" / "to_server").read_bytes() == to_server
    assert (tmp_path / "outside" / "from_server").read_bytes() == from_server
    events = service.wait_until_stored(session_id, len(messages(to_server) + messages(from_server)))
    assert_stored_as_sent(events, to_server, from_server)


def test_a_secret_never_leaves_the_laptop(
    signed_in: Laptop, service: Service, account: Account, session_id: str
) -> None:
    server = [sys.executable, str(SERVERS / "echo_server.py")]
    with RawClient(signed_in.monitor_command(*server, session_id=session_id), signed_in.environment) as client:
        answer = client.call_tool("echo", {"text": f"the key is {account.api_key}, keep it"})
        assert account.api_key in answer["result"]["content"][0]["text"]  # the stream itself is untouched
        client.finish()
    events = service.wait_until_stored(session_id, 2)
    assert not [event for event in events if account.api_key in event.message]
    assert all("[redacted:kilometers_key], keep it" in event.message for event in events)


def test_one_customer_never_sees_the_events_of_another(
    signed_in: Laptop, service: Service, account: Account, session_id: str
) -> None:
    server = [sys.executable, str(SERVERS / "echo_server.py")]
    with RawClient(signed_in.monitor_command(*server, session_id=session_id), signed_in.environment) as client:
        client.initialize("2025-11-25")
        client.finish()
    service.wait_until_stored(session_id, 3)
    stranger = service.create_customer()
    assert session_id in str(service.get("/api/activity", account))
    assert session_id not in str(service.get("/api/activity", stranger))
