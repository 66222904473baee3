"""Calls as OpenTelemetry spans in OTLP/JSON, lines that a collector's `otlpjsonfile` receiver takes.

    {"resourceSpans":[{"resource":{…},"scopeSpans":[{"scope":{"name":"kilometers"},"spans":[{…}]}]}]}

Names are those of the conventions for MCP (semantic-conventions-genai, `docs/gen-ai/mcp.md`), the same that the service
exports. What the client asked is a CLIENT span, what the server asked a SERVER span. A span's id follows from its
event's, so the same call is the same span here and there; its trace is the caller's (`traceparent` in `_meta`), or one
for the session, which the service names by its customer as well and so differently. OTLP/JSON: ids are hex, times text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

import msgspec
from km_protocol.envelope import Event

from km_client import __version__
from km_client.watching.calls import LONGEST_LOOK, Call, content, failure_words

SPANS_A_LINE = 500
CLIENT, SERVER, ERROR = 3, 2, 2  # `Span.SpanKind` and `Status.StatusCode`
MAX_TEXT = 256  # characters of an attribute, as the service has it
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")


class _Meta(msgspec.Struct, frozen=True):
    traceparent: Any = None
    version: Any = msgspec.field(default=None, name="io.modelcontextprotocol/protocolVersion")


class _Body(msgspec.Struct, frozen=True):
    name: Any = None
    uri: Any = None
    version: Any = msgspec.field(default=None, name="protocolVersion")
    meta: _Meta = msgspec.field(default_factory=_Meta, name="_meta")


class _Message(msgspec.Struct, frozen=True):
    id: Any = None
    params: _Body = msgspec.field(default_factory=_Body)
    result: _Body = msgspec.field(default_factory=_Body)


def lines(calls: Iterable[Call]) -> Iterator[bytes]:
    """Answered calls, some hundred a line. A call without an answer has no end, so it is no span yet."""
    version: dict[str, str] = {}
    spans = (span(call, version) for call in calls if call.answer)
    while some := list(islice(spans, SPANS_A_LINE)):
        scope = {"scope": {"name": "kilometers", "version": __version__}, "spans": some}
        resource = {"attributes": _attributes({"service.name": "km-client", "service.version": __version__})}
        yield msgspec.json.encode({"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}) + b"\n"


def span(call: Call, versions: dict[str, str]) -> dict[str, Any]:
    """One span. `versions` remembers each session's protocol version from its `initialize`."""
    assert call.answer is not None
    asked, answered = _read(call.request), _read(call.answer)
    session = call.first.session_id or ""
    said = _text(answered.result.version) or _text(asked.params.meta.version)
    if said:
        versions[session] = said
    has_failed = (
        call.is_error or call.answer.type == "error"
    )  # a declined probe too: its code is what a reader looks for
    code, words = failure_words(call.answer) if has_failed else ("", "")
    trace, parent = _context(_text(asked.params.meta.traceparent), session or _hex(call.first))
    begins = _nanoseconds(call.began)
    made: dict[str, Any] = {
        "traceId": trace,
        "spanId": _digest("span", _hex(call.first), size=8),
        "name": " ".join(filter(None, (call.method or "unknown", call.tool or _prompt(call, asked)))),
        "kind": CLIENT if call.from_client else SERVER,
        "startTimeUnixNano": str(begins),
        "endTimeUnixNano": str(max(begins, _nanoseconds(call.answer.timestamp))),
        "attributes": _attributes(_named(call, asked, answered, versions.get(session, ""), code)),
    }
    if parent:
        made["parentSpanId"] = parent
    if has_failed:
        made["status"] = {"code": ERROR, "message": words[:MAX_TEXT] if code != "tool_error" else ""}
    return made


def _named(call: Call, asked: _Message, answered: _Message, version: str, code: str) -> dict[str, str]:
    first = call.first
    is_code = code not in ("", "tool_error")
    return {
        "mcp.method.name": call.method or "unknown",
        "gen_ai.operation.name": "execute_tool" if call.method == "tools/call" else "",
        "gen_ai.tool.name": call.tool,
        "gen_ai.prompt.name": _prompt(call, asked),
        "mcp.protocol.version": version,
        "network.transport": "tcp" if first.server_info and first.server_info.transport == "http" else "pipe",
        "rpc.response.status_code": code if is_code else "",
        "error.type": code or ("_OTHER" if call.is_error else ""),
        "mcp.session.id": first.session_id or "",
        "mcp.resource.uri": _text(asked.params.uri) if call.method.startswith("resources/") else "",
        "jsonrpc.request.id": _text(asked.id) or _text(answered.id),
        "km.server.name": first.server_info.name if first.server_info else "",
        "km.client.name": first.client_info.name if first.client_info else "",
    }


def _attributes(named: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": name, "value": {"stringValue": value}} for name, value in sorted(named.items()) if value]


def _prompt(call: Call, asked: _Message) -> str:
    return _text(asked.params.name) if call.method == "prompts/get" else ""


def _context(traceparent: str, session: str) -> tuple[str, str]:
    """The trace and the parent span (W3C Trace Context §3.2): the caller's own, or the session's and none."""
    match = _TRACEPARENT.fullmatch(traceparent)
    if match and not (match[3] and traceparent.startswith("00")):
        return match[1], match[2]
    return _digest("trace", session, size=16), ""


def _digest(*parts: object, size: int) -> str:
    return hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()


def _hex(event: Event) -> str:
    return UUID(event.id).hex


def _read(event: Event | None) -> _Message:
    if event is None or event.truncated or (event.size or 0) > LONGEST_LOOK * 4:
        return _Message()
    try:
        return msgspec.json.decode(content(event), type=_Message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Message()  # not JSON-RPC as the schema has it; it was recorded all the same


def _text(value: Any) -> str:
    return str(value)[:MAX_TEXT] if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND * 1000
