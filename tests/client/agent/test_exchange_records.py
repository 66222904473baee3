"""Records of HTTP runs become events: whole messages, failures that end requests, ids unique in one exchange."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from km_client.agent.derivation import Derivation, Identity
from km_client.agent.events import MAX_TEXT
from km_client.agent.handshake import Handshake
from km_client.agent.position import Position, decode, encode
from km_client.agent.redaction import RedactionRules, Redactor
from km_client.capture.exchanges import FAILURE, MESSAGE, NOTE, Entry
from km_client.capture.recording import Recording
from km_client.capture.spool import SessionSpool
from km_client.proxy.http.runs import Run
from km_protocol.envelope import Event, Party

CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}'
RESULT = b'{"jsonrpc":"2.0","id":1,"result":{}}'
Said = tuple[str, Entry]


def message(
    content: bytes, *, exchange: int = 1, scope: int = 0, kind: str = MESSAGE, size: int | None = None
) -> Entry:
    return Entry(kind, scope, exchange, len(content) if size is None else size, content)


def events(directory: Path, *said: Said, after: int = 0) -> list[Event]:
    """What an agent makes of these; one that stops after `after` records and goes on from its position."""
    recording = Recording(
        directory / "run",
        {"version": 2},
        on_failure=print,
        on_rotation=lambda: None,
        segment_bytes=1 << 20,
    )
    recording.start()
    run = Run(recording)
    for direction, entry in said:
        run.write(direction, entry)
    run.finish()
    spool = SessionSpool(directory / "run")
    identity = Identity("run", "session", has_whole_messages=True)
    redactor = Redactor(RedactionRules(True, {}, ()))
    position = Position(Handshake(Party("server"[:MAX_TEXT])))
    derivation = Derivation.resume(spool, identity, position, redactor)
    found: list[Event] = []
    for number, record in enumerate(spool.records(position.marks, over=True, now_ns=time.monotonic_ns())):
        if number == after:
            again = decode(encode(derivation.position))
            derivation = Derivation.resume(spool, identity, again, redactor)
        found += derivation.take(record)
    return found + derivation.finish(spool.status())


def content(event: Event) -> Any:
    return json.loads(bytes(event.message))


def test_a_body_with_line_feeds_is_one_message_and_keeps_its_bytes(tmp_path: Path) -> None:
    pretty = json.dumps(json.loads(CALL), indent=2).encode()
    (event,) = events(tmp_path, ("request", message(pretty + b"\n")))
    assert (event.method, event.tool, event.message_encoding) == ("tools/call", "echo", "text")
    assert content(event).encode() == pretty
    assert b"\n" not in bytes(event.message)


def test_a_message_cut_short_says_how_long_it_was(tmp_path: Path) -> None:
    (event,) = events(tmp_path, ("response", message(RESULT[:10], size=5_000_000)))
    assert (event.truncated, event.size, content(event)) == (True, 5_000_000, RESULT[:10].decode())


def test_a_failure_of_http_is_the_answer_to_its_request(tmp_path: Path) -> None:
    fact = b'{"jsonrpc":"2.0","method":"kilometers/http","params":{"status":502}}'
    asked, failed = events(tmp_path, ("request", message(CALL)), ("response", message(fact, kind=FAILURE)), after=1)
    assert (failed.type, failed.is_error, failed.method, failed.tool) == ("error", True, "tools/call", "echo")
    assert failed.correlation_id == asked.id and failed.duration_ms is not None
    assert content(failed)["params"]["status"] == 502


@pytest.mark.parametrize("said_id", [b"null", b'"server-error"'])
def test_an_error_under_no_id_of_the_clients_answers_what_was_asked_in_its_exchange(
    tmp_path: Path, said_id: bytes
) -> None:
    refusal = b'{"jsonrpc":"2.0","id":%b,"error":{"code":-32600,"message":"Session not found"}}' % said_id
    other, asked, failed, answered = events(
        tmp_path,
        ("request", message(CALL)),
        ("request", message(CALL.replace(b":1,", b":2,"), exchange=2)),
        ("response", message(refusal, exchange=2)),
        ("response", message(RESULT)),
        after=3,
    )
    assert (failed.correlation_id, failed.method, failed.tool) == (asked.id, "tools/call", "echo")
    assert failed.duration_ms is not None
    assert answered.correlation_id == other.id


def test_an_error_about_part_of_a_batch_hides_no_answer_to_the_rest(tmp_path: Path) -> None:
    refusal = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"not a request"}}'
    asked, _, failed, answered = events(
        tmp_path,
        ("request", message(b"[%b,3]" % CALL)),
        ("response", message(b"[%b,%b]" % (refusal, RESULT))),
    )
    assert failed.is_error
    assert (answered.correlation_id, answered.tool) == (asked.id, "echo")


@pytest.mark.parametrize(("status", "is_fault"), [(400, False), (404, False), (405, False), (401, True), (502, True)])
def test_a_probe_that_an_older_server_refuses_by_http_is_no_fault(tmp_path: Path, status: int, is_fault: bool) -> None:
    probe = CALL.replace(b"tools/call", b"server/discover")
    fact = b'{"jsonrpc":"2.0","method":"kilometers/http","params":{"status":%d}}' % status
    asked, refused = events(tmp_path, ("request", message(probe)), ("response", message(fact, kind=FAILURE)))
    assert (refused.correlation_id, refused.is_error) == (asked.id, is_fault)


def test_a_failure_without_a_request_is_an_error_by_its_own_name(tmp_path: Path) -> None:
    (event,) = events(tmp_path, ("response", message(b"{}", kind=FAILURE)))
    assert (event.type, event.is_error, event.method, event.correlation_id) == ("error", True, "kilometers/http", None)


def test_a_note_is_no_fault_and_leaves_its_request_open(tmp_path: Path) -> None:
    asked, note, answer = events(
        tmp_path,
        ("request", message(CALL)),
        ("response", message(b"{}", kind=NOTE)),
        ("response", message(RESULT, exchange=2)),
    )
    assert (note.type, bool(note.is_error), note.correlation_id) == ("notification", False, asked.id)
    assert answer.correlation_id == asked.id


def test_one_id_of_two_clients_at_once_is_two_requests(tmp_path: Path) -> None:
    first, second, late, early = events(
        tmp_path,
        ("request", message(CALL, exchange=1, scope=1)),
        ("request", message(CALL.replace(b"echo", b"add"), exchange=2, scope=2)),
        ("response", message(RESULT, exchange=2, scope=2)),
        ("response", message(RESULT, exchange=1, scope=1)),
    )
    assert (late.correlation_id, late.tool) == (second.id, "add")
    assert (early.correlation_id, early.tool) == (first.id, "echo")


def test_a_record_that_nobody_understands_is_told_as_it_is(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "run", {}, on_failure=print, on_rotation=lambda: None)
    recording.start()
    recording.request.append(b"what is this", time.monotonic_ns(), time.time_ns())
    recording.close()
    spool = SessionSpool(tmp_path / "run")
    position = Position(Handshake(Party("server")))
    identity = Identity("run", "session", has_whole_messages=True)
    derivation = Derivation.resume(spool, identity, position, Redactor(RedactionRules(True, {}, ())))
    records = spool.records(position.marks, over=True, now_ns=time.monotonic_ns())
    (event,) = [event for record in records for event in derivation.take(record)]
    assert content(event) == "what is this"
