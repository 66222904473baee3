"""What is exported: the files that the dashboard gives, the spans that the service exports, and entries of HAR."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

import msgspec
import pytest
from google.protobuf.json_format import MessageToDict
from km_client.watching import sources
from km_client.watching.calls import content
from km_client.watching.exporting import Export
from km_client.watching.sessions import find, recorded
from km_protocol.envelope import Event, Party, message_text

from dashboard import session_replay
from events.otlp.facts import facts_of
from events.otlp.spans import Call as ServiceCall
from events.otlp.spans import span_of
from events.rows import EventRow, SessionRow
from events.store import NewEvent
from tests.client.agent.conftest import Record
from tests.client.agent.recorder import Recorded, answer, call

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def line(**members: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **members}).encode() + b"\n"


@pytest.fixture
def session(record: Record) -> Recorded:
    """Every kind of thing that is said, and lines that nobody may say."""
    made = record()
    info = {"protocolVersion": "2025-11-25", "clientInfo": {"name": "cursor", "version": "2"}}
    made.request(line(id=0, method="initialize", params=info))
    server = {"protocolVersion": "2025-11-25", "serverInfo": {"name": "git-server", "version": "7"}}
    made.response(line(id=0, result=server))
    made.request(line(method="notifications/initialized"))
    made.request(call("one") + call(2, tool="git push"))
    made.response(line(id=2, result={"isError": True, "content": [{"type": "text", "text": "no remote"}]}))
    made.response(answer("one"), at_ns=made.now_ns + 30_000_000_000)
    made.request(line(id=3, method="prompts/get", params={"name": "review", "_meta": {"traceparent": TRACEPARENT}}))
    made.response(line(id=3, error={"code": -32602, "message": "no such prompt"}))
    made.request(line(id=4, method="resources/read", params={"uri": "file:///a"}))
    made.response(b'{"jsonrpc":"2.0","id":4,\r "result":{"contents":[]},"n":1.50e3}\r\n')
    made.response(line(id=5, method="sampling/createMessage", params={}))
    made.request(line(id=5, result={}))
    made.response(b"Server listening\n\x89PNG\xff\n")
    made.request(line(id=6, method="tools/list"))
    return made


def events() -> list[Event]:
    return list(find(recorded(), "run-1").events(sources.redactor()))


def exported(form: str) -> list[Any]:
    return [json.loads(line) for line in Export(form, "run-1", events()).lines()]


def service_row(event: Event) -> EventRow:
    """As the dashboard reads it once it was shipped and stored."""
    text, is_base64 = message_text(event)
    return EventRow(
        id=UUID(event.id),
        timestamp=event.timestamp,
        type=event.type,
        direction=event.direction,
        method=event.method or "",
        tool=event.tool or "",
        session_id=event.session_id or "",
        sequence=event.sequence or 0,
        correlation_id=event.correlation_id or "",
        duration_ms=event.duration_ms,
        is_error=bool(event.is_error),
        size=event.size or 0,
        is_base64=is_base64,
        truncated=event.truncated,
        server=Party(),
        client=Party(),
        message=text,
        is_whole=True,
    )


def session_row() -> SessionRow:
    (first, *_, last) = events()
    nobody = Party(name="-")
    return SessionRow("run-1", nobody, nobody, "", first.timestamp, last.timestamp, 0, 0, 0, 0)


@pytest.mark.usefixtures("session")
def test_the_recording_is_the_dashboards_byte_for_byte() -> None:
    ours = b"".join(Export("jsonl", "run-1", events()).lines())
    theirs = b"".join(session_replay._FORMS["jsonl"](session_row(), map(service_row, events())))
    assert ours == theirs and ours.count(b"\n") == len(events())


@pytest.mark.usefixtures("session")
def test_the_script_is_the_dashboards_but_for_its_head() -> None:
    ours = b"".join(Export("txt", "run-1", events()).lines()).split(b"\n\n")
    theirs = b"".join(session_replay._FORMS["txt"](session_row(), map(service_row, events()))).split(b"\n\n")
    assert ours[1:] == theirs[1:] and len(ours) == len(events()) + 1


def service_event(event: Event) -> NewEvent:
    row = service_row(event)
    parties = [
        (party.name, party.version, party.title) if party else ("", "", "")
        for party in (event.server_info, event.client_info)
    ]
    return NewEvent(
        customer_id=7,
        id=row.id,
        correlation_id=row.correlation_id,
        timestamp=row.timestamp,
        type=row.type,
        direction=row.direction,
        method=row.method,
        tool=row.tool,
        session_id=row.session_id,
        sequence=row.sequence,
        duration_ms=row.duration_ms,
        is_error=row.is_error,
        size=row.size,
        server=parties[0],
        client=parties[1],
        is_base64=row.is_base64,
        truncated=row.truncated,
        message=row.message,
    )


@pytest.mark.usefixtures("session")
def test_spans_are_those_of_the_service_but_for_the_trace_of_a_customer() -> None:
    ours = {
        span["spanId"]: span for each in exported("otlp") for span in each["resourceSpans"][0]["scopeSpans"][0]["spans"]
    }
    asked = {event.correlation_id: event for event in events() if event.type == "request"}
    answers = [event for event in events() if event.type in ("response", "error") and event.correlation_id]
    assert len(ours) == len(answers) == 6
    for answered in answers:
        question, reply = (facts_of(service_event(event)) for event in (asked[answered.correlation_id], answered))
        theirs = MessageToDict(span_of(ServiceCall(7, question, reply, "2025-11-25")))
        span = ours[bytes_hex(theirs["spanId"])]
        assert span["name"] == theirs["name"]
        assert span["kind"] == {"SPAN_KIND_CLIENT": 3, "SPAN_KIND_SERVER": 2}[theirs["kind"]]
        assert span["attributes"] == theirs["attributes"]
        assert (span["startTimeUnixNano"], span["endTimeUnixNano"]) == (
            theirs["startTimeUnixNano"],
            theirs["endTimeUnixNano"],
        )
        assert span.get("status", {}).get("message", "") == theirs.get("status", {}).get("message", "")
        if "parentSpanId" in theirs:
            assert span["traceId"] == bytes_hex(theirs["traceId"]) == TRACEPARENT.split("-")[1]
            assert span["parentSpanId"] == TRACEPARENT.split("-")[2]


@pytest.mark.usefixtures("session")
def test_a_server_reached_by_http_is_no_pipe() -> None:
    remote = [msgspec.structs.replace(event, server_info=Party("notes", transport="http")) for event in events()]
    spans = b"".join(Export("otlp", "run-1", remote).lines())
    assert spans.count(b'"stringValue":"tcp"') == 6 and b'"pipe"' not in spans


def bytes_hex(base64_text: str) -> str:
    return base64.b64decode(base64_text).hex()


@pytest.mark.usefixtures("session")
def test_a_har_entry_holds_a_call_with_both_messages_byte_for_byte() -> None:
    entries = {entry["_method"] + entry["_tool"]: entry for entry in exported("har")}
    assert len(entries) == 7
    push = entries["tools/callgit push"]
    assert push["response"]["status"] == 500 and push["_error"] == {"code": "tool_error", "message": "no remote"}
    assert unquote(urlsplit(push["request"]["url"]).path) == "/tools/call/git push"
    read = entries["resources/read"]
    assert read["response"]["content"]["text"] == '{"jsonrpc":"2.0","id":4,\r "result":{"contents":[]},"n":1.50e3}'
    assert (read["response"]["status"], read["time"], read["timings"]["wait"]) == (200, 1.0, 1.0)
    assert entries["tools/list"]["response"]["status"] == 0
    assert entries["sampling/createMessage"]["_from"] == "server"
    slow = entries["tools/callgit_log"]
    assert slow["time"] > 30_000 and slow["startedDateTime"] < read["startedDateTime"]


def test_an_export_counts_what_is_only_in_part(session: Recorded) -> None:
    cut = events()[:3]
    cut[1].truncated = True
    export = Export("jsonl", "run-1", cut)
    assert len(list(export.lines())) == export.count == 3 and export.cut == 1


def test_every_message_is_in_the_recording_as_it_was_sent(session: Recorded) -> None:
    assert [content(event) for event in events()][-2] == b"\x89PNG\xff"
