"""`sessions` lists what was recorded, draws one, and exports it; for people, for scripts, and for what is odd."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from km_client import output
from km_client.watching import listing, sessions, sources, summaries

from tests.client.agent.conftest import Record
from tests.client.agent.recorder import Recorded, answer, call
from tests.client.commands.conftest import Km
from tests.client.monitored import KM_CLIENT
from tests.client.watching.conftest import Log, log

__all__ = ["log"]

HOSTILE = "evil\x1b]0;owned\x07\x1b[2J\u202e"
SECRET = "sk-proj-abcdefghij1234567890ABCDEFGHIJ1234567890abcdefghij12"


def talk(session: Recorded, *, calls: int = 4) -> None:
    """A handshake, some calls, and one that fails."""
    info = {"clientInfo": {"name": "cursor", "version": "2"}}
    session.request(json.dumps({"jsonrpc": "2.0", "id": "i", "method": "initialize", "params": info}).encode() + b"\n")
    session.response(b'{"jsonrpc":"2.0","id":"i","result":{"serverInfo":{"name":"git-server","version":"7"}}}\n')
    for number in range(calls):
        session.request(call(number, text="some words"))
        session.response(answer(number, "more words than those"))
    session.request(call("bad", tool="git_push"))
    session.response(b'{"jsonrpc":"2.0","id":"bad","error":{"code":-32000,"message":"no remote"}}\n')


@pytest.fixture
def session(record: Record) -> Recorded:
    made = record("019aa3c2-7f00-7000-8000-000000000001", server_name="git")
    talk(made)
    made.end()
    return made


def test_the_list_says_who_talked_how_much_how_fast_and_whether_it_is_shipped(km: Km, session: Recorded) -> None:
    head, row = km("sessions").out.splitlines()
    assert head.split() == ["session", "began", "server", "client", "calls", "errors", "p50", "p95", "state"]
    cells = row.split()
    assert cells[0] == "019aa3c2-7f00" and cells[-1] == "waiting"
    assert cells[3:8] == ["git", "cursor", "2", "6", "1"] and "1.0 ms" in row
    (told,) = json.loads(km("sessions", "--json").out)
    assert told["id"] == session.path.name and (told["calls"], told["errors"], told["events"]) == (6, 1, 12)
    assert (told["server"], told["server_version"], told["client"]) == ("git", "7", "cursor")
    assert (told["p50_ms"], told["p95_ms"], told["state"]) == (1.0, 1.0, "waiting") and told["tokens"] is None


def test_tokens_are_estimated_where_they_are_asked_for(km: Km, session: Recorded) -> None:
    head, row = km("sessions", "--tokens").out.splitlines()
    assert head.split()[-2:] == ["tokens", "state"] and row.split()[-2].startswith("~")
    (told,) = json.loads(km("sessions", "--tokens", "--json").out)
    assert told["tokens"] > 10
    assert json.loads(km("sessions", "show", "019aa3c2", "--json").out)["tokens"] == told["tokens"]


def test_a_list_reads_no_message_of_a_log(km: Km, session: Recorded, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log(session)
    shutil.rmtree(session.path)

    def read(_: object) -> bytes:
        raise AssertionError("a message was read")

    monkeypatch.setattr("km_client.watching.tally.content", read)
    assert km("sessions").code == 0
    with pytest.raises(AssertionError, match="a message was read"):
        km("sessions", "--tokens")


def test_the_list_is_narrowed_by_server_time_and_number(km: Km, record: Record, session: Recorded) -> None:
    talk(record("run-2", server_name="time"))
    ids = [each["id"] for each in json.loads(km("sessions", "--json").out)]
    assert set(ids) == {"run-2", session.path.name}
    assert [each["id"] for each in json.loads(km("sessions", "--json", "--server", "time").out)] == ["run-2"]
    done = km("sessions", "--limit", "1")
    assert len(done.out.splitlines()) == 2 and "1 more are not shown" in done.err
    assert len(json.loads(km("sessions", "--json", "--since", "2h").out)) == 2
    assert json.loads(km("sessions", "--json", "--server", "none").out) == []
    done = km("sessions", "--server", "none")
    assert (done.code, done.out) == (0, "") and "no session is recorded" in done.err
    for words in (("--since", "yesterday"), ("--since", "2"), ("--limit", "-1")):
        with pytest.raises(SystemExit):
            km("sessions", *words)


def test_one_session_is_drawn_with_its_calls(km: Km, session: Recorded) -> None:
    lines = km("sessions", "show", "019aa3c2").out.splitlines()
    assert "server   git git-server 7" in lines and "client   cursor 2" in lines
    drawn = [line for line in lines if "-->" in line]
    assert len(drawn) == 6 and "tools/call git_log" in drawn[1] and drawn[1].endswith("█")
    assert any(line.strip() == "ERROR -32000 no remote" for line in lines)
    told = json.loads(km("sessions", "show", "019aa3c2", "--json").out)
    assert [each["status"] for each in told["calls_made"]] == ["ok"] * 5 + ["error"]
    assert told["calls_made"][-1]["error"] == {"code": "-32000", "message": "no remote"}


def test_a_terminal_that_knows_only_ascii_gets_ascii(session: Recorded) -> None:
    command = [sys.executable, "-c", "from km_client.cli import main; main()", "sessions", "show", "019"]
    done = subprocess.run(command, capture_output=True, check=True, env=environment(PYTHONIOENCODING="ascii"))
    assert b"#" in done.stdout and done.stdout.isascii()


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, **more}


def test_an_unknown_id_names_the_nearest(km: Km, session: Recorded) -> None:
    for words in (("show", "019aa3c3"), ("export", "019aa3c3")):
        done = km("sessions", *words)
        assert done.code == 1 and "no recorded session `019aa3c3`" in done.err and session.path.name in done.err


def test_names_of_strangers_never_reach_the_terminal_raw(km: Km, record: Record) -> None:
    session = record("run-1", server_name=HOSTILE, session_id=HOSTILE)
    session.request(call(1, tool=HOSTILE))
    session.response(json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": HOSTILE}}).encode() + b"\n")
    for words in (
        ("sessions",),
        ("sessions", "show", "evil"),
        ("sessions", "--json"),
        ("sessions", "show", "x" + HOSTILE),
    ):
        done = km(*words)
        assert not set("\x1b\x07\u202e") & set(done.out + done.err), words
    assert "\\x1b" in km("sessions", "show", "evil").out


def test_a_message_of_five_megabytes_is_a_number_in_the_table(km: Km, record: Record) -> None:
    session = record("run-1")
    session.request(call(1))
    session.response(answer(1, "x" * 5_000_000))
    done = km("sessions", "show", "run-1")
    assert "5.0 MB" in done.out and len(done.out) < 2_000


def test_no_colour_and_no_control_reaches_a_pipe(session: Recorded) -> None:
    for words in (("sessions",), ("sessions", "show", "019")):
        done = subprocess.run([KM_CLIENT, *words], capture_output=True, check=True, env=environment(FORCE_COLOR=""))
        assert b"\x1b" not in done.stdout and done.stdout


@pytest.mark.parametrize("columns", [30, 40, 73, 74, 80, 103, 104, 160])
def test_every_width_of_terminal_has_its_list(
    session: Recorded, columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "WIDE", columns)
    everything = sessions.recorded()
    listing.show(summaries.summaries(everything, sources.redactor(), with_tokens=True), everything, columns)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns and len(lines) <= (5 if columns < 74 else 2), (
        "a row is one line, or the table is none"
    )
    assert any(line.startswith(session.path.name[:13]) for line in lines)


def test_an_export_goes_to_a_file_for_the_owner_only(km: Km, session: Recorded, machine: Path) -> None:
    file = machine / "calls.jsonl"
    done = km("sessions", "export", "019", "--format", "har", "--output", str(file))
    assert (done.code, done.out) == (0, "") and "6 lines in" in done.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and file.read_bytes().count(b"\n") == 6
    file.chmod(0o644)
    km("sessions", "export", "019", "--format", "har", "--output", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600, "the file that was there was open to others"
    assert km("sessions", "export", "019", "--output", os.devnull).code == 0
    done = km("sessions", "export", "019", "--output", str(machine / "no" / "such"))
    assert done.code == 1 and "cannot be written" in done.err
    before = file.read_bytes()
    assert km("sessions", "export", "nothing", "--output", str(file)).code == 1 and file.read_bytes() == before


@pytest.mark.parametrize("form", ["har", "otlp", "jsonl", "txt"])
def test_an_export_is_redacted_by_the_persons_rules_unless_raw_is_said(km: Km, record: Record, form: str) -> None:
    km("config", "set", "redaction.patterns.ticket", "TICKET-[0-9]{6}")
    session = record("run-1")
    session.request(call(1, text=f"{SECRET} TICKET-123456"))
    session.response(b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"TICKET-654321"}}\n')
    session.end()

    def exported(*words: str) -> str:
        command = [KM_CLIENT, "sessions", "export", "run-1", "--format", form, *words]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout

    assert SECRET not in exported() and "TICKET-" not in exported() and "[redacted:ticket]" in exported()
    raw = exported("--raw")
    assert "TICKET-654321" in raw and (form == "otlp" or SECRET in raw)


def test_a_reader_that_has_seen_enough_ends_it_quietly(record: Record) -> None:
    session = record("run-1")
    for number in range(2_000):
        session.request(call(number))
        session.response(answer(number))
    for words in ("sessions show run-1", "sessions export run-1"):
        command = f"{sys.executable} -c 'from km_client.cli import main; main()' {words} | head -1"
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)


def test_a_session_nobody_can_read_is_listed_with_its_reason(km: Km, record: Record, session: Recorded) -> None:
    broken = record("run-9")
    (broken.path / "session.json").write_text('{"version": 9}')
    broken.end()
    done = km("sessions")
    assert done.code == 0 and "unreadable" in done.out and "newer km-client" in done.err
    assert len(done.out.splitlines()) == 3


def test_any_span_and_any_count_are_taken(km: Km, session: Recorded) -> None:
    (told,) = json.loads(km("sessions", "--since", "999999w", "--limit", "9" * 5000, "--json").out)
    assert told["id"] == session.path.name


@pytest.mark.parametrize("form", ["jsonl", "har", "txt"])
def test_an_export_does_nothing_on_a_terminal_and_means_the_same(
    km: Km, record: Record, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    session = record("run-1")
    session.request('{"jsonrpc":"2.0","id":1,"method":"x\x9b\u202eé"}\n'.encode())
    session.end()
    file = session.path.with_name("exported")
    assert km("sessions", "export", "run-1", "--format", form, "--output", str(file)).code == 0
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown = km("sessions", "export", "run-1", "--format", form).out
    assert "\x9b" in file.read_text() and not {"\x9b", "\u202e"} & set(shown) and "é" in shown
    pairs = zip(shown.splitlines(), file.read_text().split("\n"), strict=False)
    assert all(json.loads(one) == json.loads(other) for one, other in pairs if one.startswith("{"))
