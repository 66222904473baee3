"""A session is all of its events, each once, wherever they are kept by now; and what is damaged is said, not hidden."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from km_client.agent.events import GAP_METHOD
from km_client.capture.spool import SessionSpool
from km_client.errors import ClientError
from km_client.watching import sources
from km_client.watching.calls import content
from km_client.watching.sessions import find, recorded, short

from tests.client.agent.conftest import Record
from tests.client.agent.recorder import Recorded, answer, call
from tests.client.watching.conftest import Log

SECRET = "sk-proj-abcdefghij1234567890ABCDEFGHIJ1234567890abcdefghij12"


def talk(session: Recorded, first: int, last: int, text: str = "") -> None:
    for number in range(first, last):
        session.request(call(number, text=text))
        session.response(answer(number, text))


def numbers(session_id: str, *, whole: bool = True) -> list[int]:
    """The sequence numbers of a session's events."""
    events = find(recorded(), session_id).events(sources.redactor(), whole=whole)
    return [event.sequence or 0 for event in events]


@pytest.mark.parametrize("whole", [True, False])
def test_every_event_is_there_once_before_and_after_the_agent_read_it(record: Record, log: Log, whole: bool) -> None:
    session = record()
    talk(session, 0, 10)
    assert numbers("run-1", whole=whole) == list(range(20))
    log(session)
    assert numbers("run-1", whole=whole) == list(range(20))
    talk(session, 10, 13)
    assert numbers("run-1", whole=whole) == list(range(26))
    session.end()
    assert numbers("run-1", whole=whole) == list(range(26))


@pytest.mark.parametrize("whole", [True, False])
def test_what_is_deleted_from_the_journal_comes_from_the_log(record: Record, log: Log, whole: bool) -> None:
    session = record(local_only=True, segment_bytes=2_000)
    talk(session, 0, 40)
    log(session)
    assert SessionSpool(session.path).segments("request")[0].name != "request-00000001.kmj", "nothing was deleted"
    talk(session, 40, 45)
    assert numbers("run-1", whole=whole) == list(range(90))


def test_a_session_whose_journal_is_gone_is_all_in_the_log(record: Record, log: Log) -> None:
    session = record(local_only=True)
    talk(session, 0, 5)
    session.end()
    log(session)
    assert not session.path.exists()
    assert numbers("run-1") == list(range(10))


def test_of_a_session_whose_journal_is_gone_it_is_known_whether_it_was_shipped(record: Record, log: Log) -> None:
    stayed, shipped, unknown = record("run-1", local_only=True), record("run-2"), record("run-3")
    for session in (stayed, shipped, unknown):
        talk(session, 0, 2)
        session.end()
    log(stayed)
    log(shipped, ships=True)
    log(unknown)
    shutil.rmtree(unknown.path)
    assert not stayed.path.exists() and not shipped.path.exists()
    states = {session.session_id: session.state for session in recorded()}
    assert states == {"run-1": "local", "run-2": "shipped", "run-3": "settled"}


@pytest.mark.parametrize("local_first", [True, False])
def test_of_two_runs_under_one_id_one_that_was_shipped_is_told(record: Record, log: Log, local_first: bool) -> None:
    for number, local_only in enumerate((local_first, not local_first)):
        session = record(f"run-{number}", session_id="mine", local_only=local_only)
        talk(session, 0, 1)
        session.end()
        log(session, ships=not local_only)
    assert find(recorded(), "mine").state == "shipped"


def test_the_journal_has_whole_what_the_log_cut(record: Record, log: Log) -> None:
    session = record()
    talk(session, 0, 1, "x" * 200_000)
    log(session)
    talk(session, 1, 2)
    log(session)
    whole = list(find(recorded(), "run-1").events(sources.redactor()))
    assert [event.truncated for event in whole] == [False] * 4
    session.end()
    shutil.rmtree(session.path)
    logged = list(find(recorded(), "run-1").events(sources.redactor()))
    assert [event.truncated for event in logged] == [True, True, False, False]
    assert [event.id for event in whole] == [event.id for event in logged]


def test_secrets_are_gone_unless_raw_is_asked_for_and_the_journal_is_here(record: Record, log: Log) -> None:
    session = record(local_only=True)
    talk(session, 0, 1, SECRET)
    (asked, _) = find(recorded(), "run-1").events(sources.redactor())
    assert b"[redacted:" in content(asked) and SECRET.encode() not in content(asked)
    (asked, _) = find(recorded(), "run-1").raw_events()
    assert SECRET.encode() in content(asked)
    session.end()
    log(session)
    with pytest.raises(ClientError, match="not here any more"):
        list(find(recorded(), "run-1").raw_events())


def test_a_torn_journal_is_read_up_to_the_tear_and_tells_of_it(record: Record) -> None:
    session = record()
    talk(session, 0, 3)
    session.die()
    (segment,) = session.path.glob("response-*.kmj")
    segment.write_bytes(segment.read_bytes()[:-7])
    events = list(find(recorded(), "run-1").events(sources.redactor()))
    assert [event.method for event in events].count("tools/call") == 5
    gaps = [json.loads(content(event)) for event in events if event.method == GAP_METHOD]
    assert [gap["reason"] for gap in gaps] == ["torn"]


def test_an_empty_session_is_listed_and_holds_nothing(record: Record) -> None:
    record()
    assert numbers("run-1") == []


@pytest.mark.parametrize("damage", ["newer", "not JSON", "no description", "other magic"])
def test_a_journal_nobody_can_read_hides_no_other(record: Record, damage: str) -> None:
    broken, good = record("run-1"), record("run-2")
    talk(broken, 0, 1)
    talk(good, 0, 2)
    broken.end()
    description = broken.path / "session.json"
    if damage == "newer":
        description.write_text(json.dumps({**json.loads(description.read_text()), "version": 9}))
    elif damage == "not JSON":
        description.write_text("{")
    elif damage == "no description":
        description.unlink()
    else:
        (segment,) = broken.path.glob("request-*.kmj")
        segment.write_bytes(b"KMJ9" + segment.read_bytes()[4:])
    assert numbers("run-2") == [0, 1, 2, 3]
    if damage == "other magic":
        with pytest.raises(ClientError, match="cannot be read"):
            numbers("run-1")
    else:
        assert find(recorded(), "run-1").state == "unreadable"


def test_a_journal_of_a_version_before_plugins_and_transports_is_read(record: Record) -> None:
    session = record()
    talk(session, 0, 1)
    description = session.path / "session.json"
    fields = json.loads(description.read_text())
    assert "plugins" not in fields and "transport" not in fields and fields["version"] == 1
    assert numbers("run-1") == [0, 1]


def test_half_a_line_in_the_log_costs_that_line_only(record: Record, log: Log, machine: Path) -> None:
    session = record(local_only=True)
    talk(session, 0, 3)
    session.end()
    log(session)
    (path,) = (machine / "data" / "log").glob("events-*")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b'{"id":"torn\n', *lines[1:], b'{"id":"half']))
    assert numbers("run-1") == list(range(6))


def test_the_beginning_of_an_id_is_enough_and_a_wrong_one_names_the_nearest(record: Record) -> None:
    for run in ("alpha-1", "alpha-2", "beta"):
        talk(record(run), 0, 1)
    sessions = recorded()
    assert find(sessions, "b").session_id == "beta"
    assert find(sessions, "alpha-1").session_id == "alpha-1"
    with pytest.raises(ClientError, match="2 sessions begin with `alpha`") as ambiguous:
        find(sessions, "alpha")
    assert "`alpha-1`" in ambiguous.value.hint and "`alpha-2`" in ambiguous.value.hint
    with pytest.raises(ClientError, match="no recorded session `alpah-1`") as unknown:
        find(sessions, "alpah-1")
    assert "`alpha-1`" in unknown.value.hint
    with pytest.raises(ClientError, match=r"\\x1b\[2J"):
        find(sessions, "\x1b[2J")


def test_two_runs_under_one_id_are_one_session(record: Record) -> None:
    for run in ("run-1", "run-2"):
        talk(record(run, session_id="mine"), 0, 2)
    assert sorted(numbers("mine")) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_short_id_tells_a_session_from_every_other(record: Record) -> None:
    for run in ("019aa3c2-0000-7000-8000-000000000001", "019aa3c2-0000-7000-8000-000000000002", "mine"):
        record(run)
    sessions = recorded()
    shorts = [short(session.session_id, sessions) for session in sessions]
    assert len(set(shorts)) == 3
    assert all(find(sessions, each).session_id.startswith(each) for each in shorts)


def test_a_damaged_journal_is_named_whether_or_not_the_secrets_are_asked_for(record: Record) -> None:
    session = record()
    session.request(call(1))
    session.end()
    (segment,) = session.path.glob("request-*.kmj")
    segment.write_bytes(b"KMJ9" + segment.read_bytes()[4:])
    damaged = find(recorded(), "run-1")
    for events in (damaged.events(sources.redactor()), damaged.raw_events()):
        with pytest.raises(ClientError, match="the journal of session `run-1` cannot be read"):
            list(events)
