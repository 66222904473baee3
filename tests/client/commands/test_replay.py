"""A recording plays its server for the official client, and its client against a server of today."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import MCPError
from mcp.types import CreateMessageResult, TextContent

from tests.client.agent.conftest import Record
from tests.client.agent.recorder import answer, call
from tests.client.commands.conftest import Km
from tests.client.monitored import KM_CLIENT, is_alive
from tests.client.watching.visits import Seen, visit

SERVERS = Path(__file__).resolve().parents[2] / "mcp_servers"
ECHO = [sys.executable, str(SERVERS / "echo_server.py")]
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


def run(*words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([KM_CLIENT, "replay", *words], input=stdin, capture_output=True, check=False, timeout=60)


def talk(record: Record, *, texts: tuple[str, ...] = ("a", "b"), **options: Any) -> None:
    session = record(**options)
    session.request(b'{"jsonrpc":"2.0","id":0,"method":"ping"}\n')
    session.response(b'{"jsonrpc":"2.0","id":0,"result":{}}\n')
    for number, text in enumerate(texts, 1):
        session.request(call(number, tool="echo", text=text))
        session.response(answer(number, text))
    session.end()


def test_odd_messages_of_a_client_end_no_replay(record: Record) -> None:
    talk(record)
    odd = [b'{"id":1,"method":["x"]}', b'{"method":{"a":1}}', b"[1]", b'"x"', b"{", b'{"id":7,"method":"ping"}']
    done = run("run-1", "--as", "server", stdin=b"\n".join(odd))
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each.get("error", {}).get("code") for each in said] == [-32600] * 4 + [-32700, None]
    assert (said[-1]["id"], done.returncode, done.stderr) == (7, 0, b"")


def test_odd_messages_in_a_recording_are_said_and_passed_over(machine: Path) -> None:
    file = machine / "odd.txt"
    file.write_text('{"id":1,"method":["x"]}\n{"method":{"a":1}}\n{"id":2,"method":"ping"}\n{"id":2,"result":{}}\n')
    done = run(str(file), "--as", "server", stdin=b'{"id":9,"method":"ping"}\n')
    assert [json.loads(line) for line in done.stdout.splitlines()] == [{"id": 9, "result": {}}]
    assert b"2 of 4 messages are not played: it is no JSON-RPC message" in done.stderr


def test_a_server_that_answers_as_it_did_passes(record: Record) -> None:
    talk(record)
    done = run("run-1", "--as", "client", "--", *ECHO)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().splitlines()[-1] == "3 compared: 3 the same, 0 different"


def test_a_server_that_answers_otherwise_fails_at_the_place_that_differs(record: Record, machine: Path) -> None:
    talk(record)
    changed = machine / "changed.py"
    changed.write_text(Path(ECHO[1]).read_text().replace('str(arguments.get("text", ""))', '"b"'))
    server = [sys.executable, str(changed)]
    done = run("run-1", "--as", "client", "--", *server)
    assert done.returncode == 1
    lines = done.stdout.decode().splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == ["same", "DIFFERENT", "same", "3"]
    assert '    /result/content/0/text: recorded "a", now "b"' in lines
    assert "--ignore /result/content/0/text" in lines[-1]
    assert run("run-1", "--as", "client", "--ignore", "/result/content/*/text", "--", *server).returncode == 0
    told = json.loads(run("run-1", "--as", "client", "--json", "--", *server).stdout)
    assert (told["compared"], told["different"]) == (3, 1)
    assert told["calls"][1]["differences"] == [{"pointer": "/result/content/0/text", "recorded": "a", "now": "b"}]


def test_a_server_that_ends_or_says_nothing_is_a_difference_and_not_a_hang(record: Record) -> None:
    talk(record)
    program = "import sys; sys.stdin.readline(); sys.exit(7)"
    done = run("run-1", "--as", "client", "--", sys.executable, "-c", program)
    assert done.returncode == 1 and b"the server ended: exit code 7" in done.stdout
    done = run(
        "run-1", "--as", "client", "--timeout", "0.2", "--", sys.executable, "-c", "import sys; sys.stdin.read()"
    )
    assert done.returncode == 1 and done.stdout.count(b"no answer within 0.2 s") == 3
    done = run("run-1", "--as", "client", "--", "/no/such/server")
    assert done.returncode == 127 and b"cannot start `/no/such/server`" in done.stderr


ASKING = """
import json, sys
def say(**members): print(json.dumps({"jsonrpc": "2.0", **members}), flush=True)
def hear(): return json.loads(sys.stdin.readline())
asked = hear()
say(id=77, method="sampling/createMessage", params={})
heard = hear()
assert heard["id"] == 77, heard
if len(sys.argv) > 1:
    say(id="more", method="roots/list", params={})
    assert hear()["error"]["code"] == -32601
say(id=asked["id"], result={"heard": heard["result"]["text"]})
sys.stdin.read()
"""


def test_what_the_server_asks_is_answered_as_it_was_then_under_its_id_of_now(record: Record) -> None:
    session = record()
    session.request(b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"plan"}}\n')
    session.response(b'{"jsonrpc":"2.0","id":50,"method":"sampling/createMessage","params":{}}\n')
    session.request(b'{"jsonrpc":"2.0","id":50,"result":{"text":"yes"}}\n')
    session.response(b'{"jsonrpc":"2.0","id":1,"result":{"heard":"yes"}}\n')
    session.end()
    server = [sys.executable, "-c", ASKING]
    done = run("run-1", "--as", "client", "--", *server)
    assert (done.returncode, done.stderr) == (0, b""), done.stdout
    done = run("run-1", "--as", "client", "--", *server, "and more")
    assert done.returncode == 1 and b"DIFFERENT  roots/list of the server\n    it was not asked then" in done.stdout
    done = run(
        "run-1", "--as", "client", "--timeout", "0.2", "--", sys.executable, "-c", "import sys; sys.stdin.read()"
    )
    assert done.returncode == 1 and b"it was asked then, and is not now" in done.stdout


def test_nothing_is_said_before_what_had_been_answered_by_then(record: Record) -> None:
    """The server looks whether the next message is there already, as it would be of a client that does not wait."""
    session = record()
    for number in (1, 2, 3):
        session.request(b'{"jsonrpc":"2.0","id":%d,"method":"look"}\n' % number)
        session.response(b'{"jsonrpc":"2.0","id":%d,"result":{"more":false}}\n' % number)
    session.end()
    look = (
        "import json, os, select\n"
        "while line := os.read(0, 65536):\n"
        "    more = bool(select.select([0], [], [], 0.2)[0]) and line.count(b'\\n') > 0 or line.count(b'\\n') > 1\n"
        "    for one in line.splitlines():\n"
        "        answer = {'jsonrpc': '2.0', 'id': json.loads(one)['id'], 'result': {'more': more}}\n"
        "        os.write(1, json.dumps(answer).encode() + b'\\n')\n"
    )
    done = run("run-1", "--as", "client", "--", sys.executable, "-c", look)
    assert done.returncode == 0, done.stdout


def test_nothing_that_the_server_started_is_left(record: Record, machine: Path) -> None:
    talk(record)
    pids = machine / "pids"
    server = f"(trap '' TERM HUP; echo $BASHPID >{pids}; exec sleep 600) & exec {ECHO[0]} {ECHO[1]}"
    assert run("run-1", "--as", "client", "--", "bash", "-c", server).returncode == 0
    assert not is_alive(int(pids.read_text()))


def test_strict_tells_by_its_exit_code_whether_all_was_asked_as_recorded(record: Record) -> None:
    talk(record)
    asked = b'{"jsonrpc":"2.0","id":0,"method":"ping"}\n' + call(1, tool="echo", text="a")
    rest = call(2, tool="echo", text="b")
    assert run("run-1", "--as", "server", "--strict", "--speed", "0", stdin=asked + rest).returncode == 0
    done = run("run-1", "--as", "server", "--strict", stdin=asked)
    assert done.returncode == 1 and b"1 recorded requests were not asked" in done.stderr
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


def test_what_was_cut_short_is_said_and_the_rest_is_played(record: Record, km: Km, machine: Path) -> None:
    talk(record, texts=("a", "b"))
    file = machine / "cut.jsonl"
    km("sessions", "export", "run-1", "--output", str(file))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[3] |= {"message": lines[3]["message"][:20], "truncated": True}
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = run(str(file), "--as", "client", "--", *ECHO)
    assert done.returncode == 0 and b"2 compared: 2 the same" in done.stdout
    assert b"1 of 6 messages are not played: only the first 20 of" in done.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "nothing in"),
        (b"# only words\n\n", "nothing in"),
        (b'{"jsonrpc":"2.0","id":1,"method":"a"}\n{"jsonrpc"\n', "line 2: this is no JSON"),
        (
            b'{"timestamp":"2026-01-01T00:00:00Z","direction":"request","message":"{}"}\nhello\n',
            "line 2: this is no line",
        ),
        (b"DELAY: soon\n", "line 1: `DELAY: soon` is no delay"),
    ],
)
def test_a_file_that_cannot_be_played_is_named_with_its_line(km: Km, machine: Path, content: bytes, words: str) -> None:
    file = machine / "bad.jsonl"
    file.write_bytes(content)
    done = km("replay", str(file), "--as", "server")
    assert done.code == 1 and words in done.err and "hint:" in done.err


def test_wrong_usage_is_said_before_anything_is_read(km: Km, machine: Path) -> None:
    assert "there is no file `no/such.jsonl`" in km("replay", "no/such.jsonl", "--as", "server").err
    assert "no recorded session `nothing`" in km("replay", "nothing", "--as", "server").err
    done = km("replay", "x", "--as", "client")
    assert done.code == 2 and "put its command after `--`" in done.err
    done = km("replay", "x", "--as", "server", "--", "cat")
    assert done.code == 2 and "as a server" in done.err
    for flag, word in (("--speed", "fast"), ("--ignore", "result"), ("--timeout", "-1")):
        with pytest.raises(SystemExit):
            km("replay", "x", "--as", "server", flag, word)
