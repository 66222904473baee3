"""Calls as entries of HTTP Archive 1.2, one JSON object a line: what HAR viewers and `jq` read.

    {"startedDateTime":"2026-11-23T08:00:00.123456+00:00","time":12.5,"request":{…},"response":{…},"timings":{…},…}

MCP is no HTTP: an entry is one JSON-RPC call, its URL is made of server, method and what is called, and what HAR has no
member for begins with `_`, as the format allows. docs/client/watching.md has the table of members.
"""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import msgspec
from km_protocol.envelope import Event

from km_client.watching.calls import Call, content, failure_words

ANSWERED, FAILED, OPEN = 200, 500, 0
JSON = "application/json"


def entry(call: Call, server: str = "") -> bytes:
    """One line, with its line feed."""
    first, answer = call.first, call.answer
    code, words = failure_words(answer) if answer and call.is_error else ("", "")
    took = call.duration_ms or 0
    fields: dict[str, Any] = {
        "startedDateTime": call.began.isoformat(),
        "time": took,
        "request": _request(call, server),
        "response": _response(call, code, words),
        "cache": {},
        "timings": {"send": 0, "wait": took, "receive": 0},
        "_session": first.session_id,
        "_server": first.server_info.name if first.server_info else server,
        "_client": first.client_info.name if first.client_info else "",
        "_from": "client" if call.from_client else "server",
        "_method": call.method,
        "_tool": call.tool,
        "_id": first.id,
        "_notices": call.notices,
        "_error": {"code": code, "message": words} if call.is_error else None,
    }
    return msgspec.json.encode(fields) + b"\n"


def _request(call: Call, server: str) -> dict[str, Any]:
    event = call.request
    name = call.first.server_info.name if call.first.server_info else server
    parts = [quote(part, safe="/") for part in (name or "server", call.method or "unknown", call.tool) if part]
    body = {"mimeType": JSON, **_text(event)} if event else {"mimeType": JSON, "text": "", "_missing": True}
    return {
        "method": "POST",
        "url": f"mcp://{'/'.join(parts)}",
        "httpVersion": "MCP",
        "cookies": [],
        "headers": [],
        "queryString": [],
        "headersSize": -1,
        "bodySize": event.size or 0 if event else -1,
        "postData": body,
    }


def _response(call: Call, code: str, words: str) -> dict[str, Any]:
    event = call.answer
    status = OPEN if event is None else FAILED if call.is_error else ANSWERED
    return {
        "status": status,
        "statusText": " ".join(filter(None, (code, words))) if status == FAILED else "" if event else "no answer",
        "httpVersion": "MCP",
        "cookies": [],
        "headers": [],
        "redirectURL": "",
        "headersSize": -1,
        "bodySize": event.size or 0 if event else -1,
        "content": {"size": event.size or 0, "mimeType": JSON, **_text(event)} if event else _nothing(),
    }


def _text(event: Event) -> dict[str, Any]:
    """The message as text, or as base64 where it is none; `_truncated` where only its beginning was kept."""
    cut = {"_truncated": True} if event.truncated else {}
    try:
        return {"text": content(event).decode(), **cut}
    except UnicodeDecodeError:
        return {"text": base64.b64encode(content(event)).decode(), "encoding": "base64", **cut}


def _nothing() -> dict[str, Any]:
    return {"size": 0, "mimeType": JSON, "text": ""}
