"""A recording plays its server for the official client, and for clients that behave oddly."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from mcp import MCPError
from mcp.types import CreateMessageResult, TextContent

from tests.client.agent.conftest import Record
from tests.client.agent.recorder import call
from tests.client.commands.conftest import Km
from tests.client.commands.replaying import run, talk
from tests.client.monitored import KM_CLIENT
from tests.client.watching.visits import Seen, visit

ROME = ("get_current_time", {"timezone": "Europe/Rome"})
NOON = ("convert_time", {"source_timezone": "Europe/Rome", "time": "12:00", "target_timezone": "Asia/Tokyo"})


def record_visit(server: list[str], calls: list[tuple[str, dict[str, Any]]], **options: Any) -> Seen:
    """What a client saw of a server, recorded as session `visit`."""
    monitor = [KM_CLIENT, "monitor", "--session-id", "visit", "--", *server]
    return visit(monitor, os.environ, calls, **options)


def replayed(source: str, calls: list[tuple[str, dict[str, Any]]], **options: Any) -> Seen:
    return visit([KM_CLIENT, "replay", source, "--as", "server"], os.environ, calls, **options)


@pytest.mark.parametrize("mode", ["legacy", "auto", "2026-07-28"])
def test_the_official_client_sees_the_recorded_server_again(
    machine: Path, pypi_server: dict[str, list[str]], mode: str
) -> None:
    seen = record_visit(pypi_server["time"], [ROME, NOON], mode=mode)
    assert seen.tools == ["get_current_time", "convert_time"]
    assert replayed("visit", [ROME, NOON], mode=mode) == seen
    assert replayed("visit", [NOON, ROME, NOON], mode=mode).results[1] == seen.results[0], "in another order"


def test_progress_and_what_the_server_asks_are_played_in_their_place(
    machine: Path, npm_server: dict[str, list[str]]
) -> None:
    async def sample(context: object, params: object) -> CreateMessageResult:
        return CreateMessageResult(role="assistant", content=TextContent(type="text", text="sampled!"), model="m")

    calls: list[tuple[str, dict[str, Any]]] = [
        ("echo", {"message": "Grüße \u2028"}),
        ("trigger-long-running-operation", {"duration": 0.2, "steps": 4}),
        ("trigger-sampling-request", {"prompt": "p", "maxTokens": 10}),
    ]
    seen = record_visit(npm_server["everything"], calls, sampling_callback=sample)
    assert seen.progress == [1.0, 2.0, 3.0, 4.0] and "sampled!" in seen.results[2]["content"][0]["text"]
    assert replayed("visit", calls, sampling_callback=sample) == seen


@pytest.mark.parametrize("form", ["jsonl", "txt"])
def test_what_the_dashboard_downloads_can_be_replayed(
    machine: Path, km: Km, pypi_server: dict[str, list[str]], form: str
) -> None:
    seen = record_visit(pypi_server["time"], [ROME])
    file = machine / f"session-visit.{form}"
    assert km("sessions", "export", "visit", "--format", form, "--output", str(file)).code == 0
    assert replayed(str(file), [ROME]) == seen


def test_what_was_not_recorded_is_an_error_the_client_can_read(
    machine: Path, pypi_server: dict[str, list[str]]
) -> None:
    record_visit(pypi_server["time"], [ROME])
    with pytest.raises(BaseException) as raised:
        replayed("visit", [("get_current_time", {"timezone": "Europe/Oslo"})])
    error = raised.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, MCPError)
    assert "Europe/Oslo" in str(error) and "Europe/Rome" in str(error)


def test_odd_messages_of_a_client_end_no_replay(record: Record) -> None:
    talk(record)
    odd = [b'{"id":1,"method":["x"]}', b'{"method":{"a":1}}', b"[1]", b'"x"', b"{", b'{"id":7,"method":"ping"}']
    done = run("run-1", "--as", "server", stdin=b"\n".join(odd))
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each.get("error", {}).get("code") for each in said] == [-32600] * 4 + [-32700, None]
    assert (said[-1]["id"], done.returncode, done.stderr) == (7, 0, b"")


def test_strict_tells_by_its_exit_code_whether_all_was_asked_as_recorded(record: Record) -> None:
    talk(record)
    asked = b'{"jsonrpc":"2.0","id":0,"method":"ping"}\n' + call(1, tool="echo", text="a")
    rest = call(2, tool="echo", text="b")
    assert run("run-1", "--as", "server", "--strict", "--speed", "0", stdin=asked + rest).returncode == 0
    done = run("run-1", "--as", "server", "--strict", stdin=asked)
    assert done.returncode == 1 and b"1 recorded request was not asked" in done.stderr
    done = run("run-1", "--as", "server", "--strict", stdin=rest)
    assert done.returncode == 1 and json.loads(done.stdout)["error"]["data"]["expected"][0] == "ping"
    assert run("run-1", "--as", "server", stdin=asked).returncode == 0


def test_a_batch_and_a_line_that_is_no_json_are_answered(record: Record) -> None:
    talk(record)
    batch = b"[" + call("x", tool="echo", text="a").strip() + b"," + call("y", tool="echo", text="b").strip() + b"]\n"
    done = run("run-1", "--as", "server", "--speed", "0", stdin=b"what?\n\n" + batch)
    refused, *answers = map(json.loads, done.stdout.splitlines())
    assert refused["error"]["code"] == -32700
    assert [(each["id"], each["result"]["content"][0]["text"]) for each in answers] == [("x", "a"), ("y", "b")]


def test_an_answer_that_came_after_centuries_holds_up_no_other(machine: Path) -> None:
    file = machine / "slow.txt"
    file.write_text('{"id":1,"method":"slow"}\nDELAY: 99999999999h\n{"id":1,"result":{}}\n')
    command = [KM_CLIENT, "replay", str(file), "--as", "server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as playing:
        assert playing.stdin and playing.stdout
        for asked in (b'{"id":"a","method":"slow"}\n', b'{"id":"b","method":"ping"}\n'):
            playing.stdin.write(asked)
            playing.stdin.flush()
        assert json.loads(playing.stdout.readline())["id"] == "b"
        rest, _ = playing.communicate()
    assert (json.loads(rest)["id"], playing.returncode) == ("a", 0)
