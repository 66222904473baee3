"""What an exchange or a body looks like, by its head and a glance at its first bytes: never by all of a large one."""

from __future__ import annotations

import json

from km_client.proxy.http.heads import Headers, RequestHead, value

SESSION_ID = b"mcp-session-id"
JSON_TYPES = (b"application/json", b"application/json-rpc")
EVENT_STREAM = b"text/event-stream"
LOOKED_AT_BYTES = 64 * 1024  # no `initialize` and no error is longer


def media_type(headers: Headers) -> bytes:
    """`Content-Type` without its parameters, in lower case."""
    return value(headers, b"content-type").partition(b";")[0].strip().lower()


def is_mcp(head: RequestHead, endpoint: str) -> bool:
    """Whether it is for the MCP endpoint, or says by its headers that it speaks MCP."""
    if head.method not in (b"POST", b"GET", b"DELETE"):
        return False
    if head.target.partition(b"?")[0] == endpoint.encode() or EVENT_STREAM in value(head.headers, b"accept"):
        return True
    return any(name.lower().startswith(b"mcp-") for name, _ in head.headers)


def is_initialize(content: bytes) -> bool:
    """Whether a session begins with it."""
    if b'"initialize"' not in content:
        return False
    messages = _parsed(content)
    return any(
        isinstance(message, dict) and message.get("method") == "initialize"
        for message in (messages if isinstance(messages, list) else [messages])
    )


def ends_a_request(content: bytes) -> bool:
    """Whether it looks like a response. Clients close the stream once they have it, and that is no news."""
    return b'"method"' not in content[:LOOKED_AT_BYTES] or b'"result"' in content[:LOOKED_AT_BYTES]


def is_json_rpc(content: bytes) -> bool:
    """Whether the body of an error is a message of the server's own; a long one is taken for one."""
    if len(content) > LOOKED_AT_BYTES:
        return True
    message = _parsed(content)
    return isinstance(message, dict) and "jsonrpc" in message


def _parsed(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
