"""A call as OpenTelemetry's conventions for MCP describe it (semantic-conventions-genai, `docs/gen-ai/mcp.md`).

    span = span_of(Call(customer_id=7, request=Facts(…), answer=Facts(…), protocol_version="2025-11-25"))
    span.name, span.trace_id.hex()     "tools/call git_log", the same for every call of a session

The monitor stands at the client's side of the pipe. What the client asks is therefore a CLIENT span, and what the
server asks of the client (sampling, elicitation) a SERVER span. Ids are derived from the session's and the event's, so
the same call is the same span however often it is exported; a `traceparent` in the request's `_meta` takes precedence.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from core.correlation import trace_id as trace_id_of
from events.otlp.facts import Facts

_NANOSECONDS_A_MILLISECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Call:
    """A request and its answer; `request` is `None` when it never arrived and the answer has to do."""

    customer_id: int
    request: Facts | None
    answer: Facts
    protocol_version: str = ""

    @property
    def first(self) -> Facts:
        return self.request or self.answer

    @property
    def from_client(self) -> bool:
        """Whether the client asked."""
        return self.answer.from_client is False

    @property
    def seconds(self) -> float:
        """As the monitor measured it; else by the two messages' times, as of what brings the result of a task: its
        duration is that of the call which began the task."""
        is_own = self.request is None or self.answer.method in ("", self.request.method)
        if self.answer.duration_ms is not None and is_own:
            return self.answer.duration_ms / 1000
        return max(0, self.answer.at - self.first.at) / 1e9

    @property
    def error_type(self) -> str:
        """`error.type`: the JSON-RPC code, `tool_error`, or blank for a success."""
        answer = self.answer
        if answer.error_code or answer.is_tool_error:
            return answer.error_code or "tool_error"
        return "_OTHER" if answer.is_error else ""


def span_of(call: Call) -> Span:
    """The span, in OTLP's protobuf."""
    ends = call.answer.at
    begins = call.request.at if call.request else ends - int(call.seconds * 1000 * _NANOSECONDS_A_MILLISECOND)
    trace, parent = _context(call)
    failed = call.error_type
    return Span(
        trace_id=trace,
        span_id=_digest("span", call.first.event_id, size=8),
        parent_span_id=parent,
        name=" ".join(filter(None, (_method(call), _target(call)))),
        kind=Span.SPAN_KIND_CLIENT if call.from_client else Span.SPAN_KIND_SERVER,
        start_time_unix_nano=begins,
        end_time_unix_nano=max(begins, ends),
        attributes=key_values(shared_attributes(call) | _own_attributes(call)),
        status=Status(code=Status.STATUS_CODE_ERROR, message=call.answer.error_message) if failed else None,
    )


def shared_attributes(call: Call) -> dict[str, str]:
    """What both a span and a metric say; none of it grows with the number of calls."""
    tool = call.first.tool or call.answer.tool
    return _filled(
        {
            "mcp.method.name": _method(call),
            "gen_ai.operation.name": "execute_tool" if _method(call) == "tools/call" else "",
            "gen_ai.tool.name": tool,
            "gen_ai.prompt.name": call.first.prompt,
            "mcp.protocol.version": call.answer.protocol_version
            or call.first.protocol_version
            or call.protocol_version,
            "network.transport": "tcp" if call.first.over_http else "pipe",
            "rpc.response.status_code": call.answer.error_code,
            "error.type": call.error_type,
        }
    )


def key_values(attributes: dict[str, str]) -> list[KeyValue]:
    """Attributes in OTLP's protobuf, in one order."""
    return [KeyValue(key=name, value=AnyValue(string_value=value)) for name, value in sorted(attributes.items())]


def _own_attributes(call: Call) -> dict[str, str]:
    return _filled(
        {
            "mcp.session.id": call.first.session_id,
            "mcp.resource.uri": call.first.uri,
            "jsonrpc.request.id": call.first.request_id or call.answer.request_id,
            "km.server.name": call.first.server or call.answer.server,
            "km.client.name": call.first.client or call.answer.client,
        }
    )


def _context(call: Call) -> tuple[bytes, bytes]:
    """The trace and the parent span: the caller's own, or the session's trace and no parent."""
    sent = call.first.traceparent
    trace = trace_id_of(sent)
    if trace is not None:
        return bytes.fromhex(trace), bytes.fromhex(sent.split("-")[2])
    session = call.first.session_id or call.first.event_id
    return _digest("trace", call.customer_id, session, size=16), b""


def _digest(*parts: object, size: int) -> bytes:
    return hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=size).digest()


def _method(call: Call) -> str:
    return call.first.method or call.answer.method or "unknown"


def _target(call: Call) -> str:
    return call.first.tool or call.answer.tool or call.first.prompt


def _filled(attributes: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in attributes.items() if value}
