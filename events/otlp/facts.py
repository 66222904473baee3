"""What a span needs to know of one message, read once when it is stored; no arguments, no results, no contents.

    facts_of(event)   → Facts(event_id="019aa…", method="tools/call", tool="git_log", request_id="7", …)

Pure. A message that is cut off, binary or longer than `LONGEST_CHARACTERS` is not looked into: what the monitor knows
about it (method, tool, error, time) is enough for a span.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

ANSWERS = frozenset({"response", "error"})
LONGEST_CHARACTERS = 256 * 1024
MAX_TEXT = 256  # of a URI, a name or an error's words, in a span's attribute
_PROTOCOL = "io.modelcontextprotocol/protocolVersion"


class Facts(msgspec.Struct, omit_defaults=True):
    """One message. `at` is in nanoseconds since 1970, `duration_ms` what the monitor measured, on answers only."""

    event_id: str
    at: int
    from_client: bool
    session_id: str = ""
    method: str = ""
    tool: str = ""
    duration_ms: float | None = None
    is_error: bool = False
    server: str = ""
    client: str = ""
    request_id: str = ""
    uri: str = ""
    prompt: str = ""
    traceparent: str = ""
    protocol_version: str = ""
    error_code: str = ""
    error_message: str = ""
    is_tool_error: bool = False
    over_http: bool = False


class _Meta(msgspec.Struct):
    traceparent: Any = None
    version: Any = msgspec.field(default=None, name=_PROTOCOL)


class _Params(msgspec.Struct):
    name: Any = None
    uri: Any = None
    version: Any = msgspec.field(default=None, name="protocolVersion")
    meta: _Meta = msgspec.field(default_factory=_Meta, name="_meta")


class _Result(msgspec.Struct):
    is_error: Any = msgspec.field(default=None, name="isError")
    version: Any = msgspec.field(default=None, name="protocolVersion")


class _Failure(msgspec.Struct):
    code: Any = None
    message: Any = None


class _Message(msgspec.Struct):
    id: Any = None
    params: _Params = msgspec.field(default_factory=_Params)
    result: _Result = msgspec.field(default_factory=_Result)
    error: _Failure = msgspec.field(default_factory=_Failure)


_DECODER = msgspec.json.Decoder(_Message)


def is_half(event: Any) -> bool:
    """Whether `event`, the store's `NewEvent`, is one of two messages that belong together."""
    return bool(event.correlation_id) and (event.type == "request" or event.type in ANSWERS)


def pair_of(event: Any) -> str:
    """The same for a request and its answer, in 32 hex digits. Each direction has ids of its own."""
    from_client = (event.direction == "request") == (event.type == "request")
    parts = (event.customer_id, event.session_id, from_client, event.correlation_id)
    return hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def facts_of(event: Any) -> Facts:
    """The facts of a `NewEvent`."""
    said = _read(event)
    return Facts(
        event_id=event.id.hex,
        at=int(event.timestamp.timestamp() * 1_000_000) * 1000,
        from_client=event.direction == "request",
        session_id=event.session_id,
        method=event.method,
        tool=event.tool,
        duration_ms=event.duration_ms,
        is_error=event.is_error,
        server=event.server[0],
        client=event.client[0],
        request_id=_text(said.id) if isinstance(said.id, str | int) else "",
        uri=_text(said.params.uri) if event.method.startswith("resources/") else "",
        prompt=_text(said.params.name) if event.method == "prompts/get" else "",
        traceparent=_text(said.params.meta.traceparent),
        protocol_version=_text(said.result.version or said.params.meta.version),
        error_code=_text(said.error.code),
        error_message=_text(said.error.message),
        is_tool_error=said.result.is_error is True,
        over_http=event.over_http,
    )


def _read(event: Any) -> _Message:
    if event.is_base64 or event.truncated or len(event.message) > LONGEST_CHARACTERS:
        return _Message()
    try:
        return _DECODER.decode(event.message)
    except (msgspec.DecodeError, RecursionError):
        return _Message()  # not JSON-RPC as the schema has it; the monitor recorded it all the same


def _text(value: Any) -> str:
    return str(value)[:MAX_TEXT] if isinstance(value, str | int) and not isinstance(value, bool) else ""
