"""`logs` shows what was asked for, the last first in mind, and goes on as more comes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from km_client import log_view
from km_client.agent.local_log import LocalLog
from km_client.agent.redaction import RedactionRules, Redactor
from km_client.agent.tracker import tracker_for
from km_client.capture.spool import SessionSpool

from tests.client.agent.conftest import Record
from tests.client.agent.recorder import Recorded, answer, call
from tests.client.commands.conftest import Km
from tests.client.monitored import PATIENCE_SECONDS


def log(machine: Path, session: Recorded) -> None:
    """Let an agent read what the session holds by now."""
    writer = LocalLog(machine / "data" / "log", 2**20)
    redactor = Redactor(RedactionRules())
    tracker = tracker_for(SessionSpool(session.path), machine / "checkpoints", redactor, writer, lambda _: None)
    while tracker.advance(None):
        continue
    writer.close()


@pytest.fixture
def session(machine: Path, record: Record) -> Recorded:
    """Two calls, the second of which fails, one notification, and a line that is no message."""
    made = record(session_id="mine")
    made.request(call(1, tool="git_log"))
    made.response(answer(1))
    made.request(call(2, tool="git_push"))
    made.response(b'{"jsonrpc":"2.0","id":2,"error":{"code":-32000,"message":"no"}}\n')
    made.response(b'{"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n')
    made.response(b"Server listening\n")
    log(machine, made)
    return made


def shown(km: Km, *words: str) -> list[str]:
    """Type and tool or method of each entry."""
    lines = km("logs", "--json", *words).out.splitlines()
    return [f"{(e := json.loads(line))['type']} {e.get('tool') or e.get('method', '')}".strip() for line in lines]


EVERYTHING = [
    "request git_log",
    "response git_log",
    "request git_push",
    "error git_push",
    "notification notifications/progress",
    "notification",
]


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), EVERYTHING),
        (("-n", "2"), EVERYTHING[-2:]),
        (("-n", "0"), []),
        (("--requests",), [EVERYTHING[0], EVERYTHING[2]]),
        (("--responses",), [EVERYTHING[1], EVERYTHING[3]]),
        (("--errors",), [EVERYTHING[3], EVERYTHING[5]]),
        (("--method", "tools/call"), EVERYTHING[:4]),
        (("--method", "tools/call", "--requests", "-n", "1"), [EVERYTHING[2]]),
        (("--session", "mine"), EVERYTHING),
        (("--session", "other"), []),
    ],
)
def test_filters_show_what_they_say(km: Km, words: tuple[str, ...], expected: list[str]) -> None:
    assert shown(km, *words) == expected


@pytest.mark.usefixtures("session")
def test_a_line_for_a_person_says_everything_in_words(km: Km) -> None:
    lines = km("logs").out.splitlines()
    assert "-->  request" in lines[0] and "tools/call git_log" in lines[0]
    assert "<--  response" in lines[1] and "1.0 ms" in lines[1]
    assert lines[3].endswith("ERROR")
    assert "(not JSON-RPC)" in lines[5]


@pytest.mark.usefixtures("session")
def test_tokens_and_their_cost_are_shown_where_they_are_asked_for(km: Km) -> None:
    assert "tokens" not in km("logs").out
    km("config", "set", "cost.output_per_million_tokens", "1000000")
    lines = km("logs", "--tokens").out.splitlines()
    shipped = [json.loads(line) for line in km("logs", "--json").out.splitlines()]
    with_cost = [json.loads(line) for line in km("logs", "--json", "--tokens").out.splitlines()]
    used = with_cost[0]["tokens"]
    assert used > 0 and with_cost[0]["tokens_of"] == "arguments" and with_cost[0]["cost"] == used
    assert f"~{used} tokens  {used}.0000 USD" in lines[0] and "tokens" not in lines[5]
    added = {"tokens", "tokens_of", "cost", "currency"}
    assert [{key: said[key] for key in said.keys() - added} for said in with_cost] == shipped


def test_an_empty_log_says_so_on_stderr(km: Km) -> None:
    done = km("logs")
    assert (done.code, done.out) == (0, "") and "nothing is logged" in done.err


def test_the_last_ones_are_found_across_files(km: Km, machine: Path, record: Record) -> None:
    session = record()
    for number in range(2000):
        session.request(call(number, text="x" * 500))
    log(machine, session)
    assert len(list((machine / "data" / "log").iterdir())) > 3
    ids = [json.loads(line)["message"]["id"] for line in km("logs", "--json", "-n", "700").out.splitlines()]
    assert ids == list(range(1300, 2000))


def test_names_of_strangers_never_reach_the_terminal_raw(km: Km, machine: Path, record: Record) -> None:
    session = record()
    session.request(call(1, tool="evil\x1b]0;owned\x07\u202e"))
    log(machine, session)
    (line,) = km("logs").out.splitlines()
    assert "evil\\x1b]0;owned\\x07" in line and not set("\x1b\x07\u202e") & set(line)


def test_json_of_strangers_reaches_the_terminal_harmless_and_means_the_same(
    km: Km, machine: Path, record: Record
) -> None:
    session = record()
    session.request(json.dumps({"id": 1, "method": "x\x9b\u202e", "text": "é"}, ensure_ascii=False).encode() + b" \r\n")
    session.request(b'{"id":2,\r"method":"y"}\n')
    log(machine, session)
    out = km("logs", "--json").out
    assert not set("\x9b\u202e\r") & set(out) and "é" in out
    first, second = (json.loads(line) for line in out.splitlines())
    assert (first["method"], second["message"]) == ("x\x9b\u202e", {"id": 2, "method": "y"})


@pytest.mark.usefixtures("session")
def test_the_number_of_messages_is_a_number_of_messages(km: Km, capsys: pytest.CaptureFixture[str]) -> None:
    assert km("logs", "-n", "0") == (0, "", "")
    assert shown(km, "-n", "9" * 5000) == EVERYTHING
    with pytest.raises(SystemExit):
        km("logs", "-n", "-3")
    assert "`-3` is no number of messages" in capsys.readouterr().err


def test_half_a_line_is_not_shown(km: Km, machine: Path, session: Recorded) -> None:
    (path,) = (machine / "data" / "log").iterdir()
    path.write_bytes(path.read_bytes()[:-30])
    assert shown(km) == EVERYTHING[:-1]


def test_following_shows_what_comes_even_in_the_next_file(machine: Path, session: Recorded) -> None:
    command = [
        sys.executable,
        "-c",
        "from km_client.cli import main; main()",
        "logs",
        "--follow",
        "--requests",
        "--json",
    ]
    with subprocess.Popen([*command, "-n", "1"], stdout=subprocess.PIPE, env=os.environ) as following:
        assert following.stdout is not None
        assert json.loads(following.stdout.readline())["tool"] == "git_push"
        for number in range(10, 400):
            session.request(call(number, text="x" * 900))
        log(machine, session)
        assert len(list((machine / "data" / "log").iterdir())) > 1
        ids = [json.loads(following.stdout.readline())["message"]["id"] for _ in range(10, 400)]
        assert ids == list(range(10, 400))
        following.kill()


@pytest.mark.usefixtures("session")
def test_following_ends_with_its_reader_though_nothing_more_comes() -> None:
    command = [sys.executable, "-c", "from km_client.cli import main; main()", "logs", "--follow", "-n", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as following:
        assert following.stdout and following.stderr and b"not JSON-RPC" in following.stdout.readline()
        following.stdout.close()
        try:
            assert (following.wait(PATIENCE_SECONDS), following.stderr.read()) == (0, b"")
        finally:
            following.kill()


def test_a_file_that_is_given_up_while_it_is_looked_for_costs_only_its_own_lines(
    km: Km, machine: Path, session: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = (machine / "data" / "log").iterdir()
    gone = path.with_name("events-00000000.jsonl")
    monkeypatch.setattr(log_view, "log_files", lambda _: [gone, path])
    assert shown(km) == EVERYTHING
    following = log_view.new_entries(
        path.parent, log_view.Filter(None, frozenset(), False, None), log_view.Place(None, 0)
    )
    assert next(following).fields.tool == "git_log"


def test_a_reader_that_has_seen_enough_ends_it_quietly(machine: Path, session: Recorded) -> None:
    for number in range(10, 1000):
        session.request(call(number))
    log(machine, session)
    command = f"{sys.executable} -c 'from km_client.cli import main; main()' logs -n 1000 | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
