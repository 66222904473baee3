"""What can be played, and what is said of what cannot."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.client.agent.conftest import Record
from tests.client.commands.conftest import Km
from tests.client.commands.replaying import ECHO, run, talk
from tests.client.monitored import KM_CLIENT


def test_odd_messages_in_a_recording_are_said_and_passed_over(machine: Path) -> None:
    file = machine / "odd.txt"
    file.write_text('{"id":1,"method":["x"]}\n{"method":{"a":1}}\n{"id":2,"method":"ping"}\n{"id":2,"result":{}}\n')
    done = run(str(file), "--as", "server", stdin=b'{"id":9,"method":"ping"}\n')
    assert [json.loads(line) for line in done.stdout.splitlines()] == [{"id": 9, "result": {}}]
    assert b"2 of 4 messages are not played: it is no JSON-RPC message" in done.stderr


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
        (b"[" * 5000 + b"]" * 5000, "line 1: nested too deeply"),
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
    assert "no recorded session `xxx" in km("replay", "x" * 5000, "--as", "server").err
    done = km("replay", "x", "--as", "client")
    assert done.code == 2 and "put its command after `--`" in done.err
    done = km("replay", "x", "--as", "server", "--", "cat")
    assert done.code == 2 and "as a server" in done.err
    for flag, word in (("--speed", "fast"), ("--ignore", "result"), ("--timeout", "-1")):
        with pytest.raises(SystemExit):
            km("replay", "x", "--as", "server", flag, word)


def test_what_another_program_writes_can_be_played_as_it_comes(record: Record) -> None:
    talk(record)
    export = f"{KM_CLIENT} sessions export run-1"
    replay = f"{KM_CLIENT} replay <({export}) --as client -- {' '.join(ECHO)}"
    done = subprocess.run(["bash", "-c", replay], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "3 compared: 3 the same, 0 different"
