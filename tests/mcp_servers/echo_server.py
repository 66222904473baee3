"""A small, fast MCP server without an SDK: every revision, batch arrays, any size of answer, for load and for faults.

    tools/call {"name": "echo", "arguments": {"text": "hi"}}      → the same text
    tools/call {"name": "fill", "arguments": {"bytes": 8388608}}  → that many letters
    tools/call {"name": "fail"}                                   → an `isError` result
    tools/call {"name": "exit", "arguments": {"code": 7}}         → the process ends with 7 and answers nothing

Answers `initialize` with the revision it was asked for, so a client may pick any. Standard library only.
"""

from __future__ import annotations

import json
import sys
from typing import Any

TOOLS = [
    {"name": name, "description": name, "inputSchema": {"type": "object"}} for name in ("echo", "fill", "fail", "exit")
]


def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The result of one tool."""
    if name == "exit":
        sys.exit(int(arguments.get("code", 0)))
    if name == "fail":
        return {"content": [{"type": "text", "text": "failed, as asked"}], "isError": True}
    text = "x" * int(arguments["bytes"]) if name == "fill" else str(arguments.get("text", ""))
    return {"content": [{"type": "text", "text": text}]}


def result_of(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    """The result of a method, None for one this server does not know."""
    match method:
        case "initialize":
            return {
                "protocolVersion": params.get("protocolVersion", "2025-11-25"),
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "echo-server", "version": "1.2.3"},
            }
        case "tools/list":
            return {"tools": TOOLS}
        case "tools/call":
            return call(params["name"], params.get("arguments") or {})
        case "ping":
            return {}
    return None


def answer(message: dict[str, Any]) -> dict[str, Any] | None:
    """The answer to one message; None for a notification or a response."""
    if "id" not in message or "method" not in message:
        return None
    result = result_of(message["method"], message.get("params") or {})
    if result is None:
        error = {"code": -32601, "message": f"no method {message['method']}"}
        return {"jsonrpc": "2.0", "id": message["id"], "error": error}
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def main() -> None:
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if isinstance(message, list):
            answers: Any = [found for found in map(answer, message) if found is not None] or None
        else:
            answers = answer(message)
        if answers is not None:
            sys.stdout.buffer.write(json.dumps(answers, separators=(",", ":")).encode() + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
