"""One line for each message, in the plugin's log.

    15:40:00.038 ← initialize 38.2 ms
    15:40:00.075 → tools/call read_file
    15:40:01.369 ← tools/call git_log 1250.0 ms ERROR n is out of range

`→` is client to server, `←` server to client. With `format: json`, each line is one JSON object with the same facts.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from km_plugin_sdk import Plugin, PluginConfig, StreamEvent

ARROWS = {"request": "→", "response": "←"}
CLIPPED = "…"


class ConsoleLogger(Plugin):
    """Free. Without the feature `console_logging` it prints nothing."""

    def initialize(self, config: PluginConfig) -> None:
        self.update_config(config)

    def update_config(self, config: PluginConfig) -> None:
        self._is_on = config.has_feature("console_logging")
        self._settings = config.custom_settings

    def handle_stream_event(self, event: StreamEvent) -> None:
        self.handle_stream_events([event])

    def handle_stream_events(self, events: Sequence[StreamEvent]) -> list[tuple[int, Exception]]:
        """One write for all lines of a batch: a write for each costs more than the line."""
        if self._is_on:
            lines = [self._line(event) for event in events if event.type in self._settings["types"]]
            sys.stdout.write("".join(f"{line}\n" for line in lines))
            sys.stdout.flush()
        return []

    def _line(self, event: StreamEvent) -> str:
        facts = describe(event)
        if self._settings["messages"]:
            facts["message"] = clipped(event.message, self._settings["message_length"])
        if self._settings["format"] == "json":
            return json.dumps(facts, ensure_ascii=False)
        return sentence(event, facts)


def describe(event: StreamEvent) -> dict[str, Any]:
    """What is worth saying about an event; facts it does not have are left out."""
    facts: dict[str, Any] = {
        "time": event.timestamp.isoformat(),
        "direction": event.direction,
        "type": event.type,
        "method": event.method,
        "tool": event.tool,
        "duration_ms": round(event.duration_ms, 1) if event.duration_ms is not None else None,
        "size": event.size,
        "error": error_text(event) if event.is_error else "",
        "server": event.server_info.name,
    }
    return {name: value for name, value in facts.items() if value not in ("", None)}


def sentence(event: StreamEvent, facts: dict[str, Any]) -> str:
    moment: datetime = event.timestamp
    words = [f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}", ARROWS.get(event.direction, "?")]
    words += [printable(facts.get("method", f"({event.type} without a method)"))]
    words += [printable(facts["tool"])] if "tool" in facts else []
    words += [f"{event.duration_ms:.1f} ms"] if event.duration_ms is not None else []
    words += [f"ERROR {printable(facts['error'])}"] if event.is_error else []
    words += [printable(facts["message"])] if "message" in facts else []
    return " ".join(words)


def error_text(event: StreamEvent) -> str:
    """What a JSON-RPC error, or a tool result with `isError`, says."""
    try:
        message = event.json()
        if "error" in message:
            return str(message["error"]["message"])
        return str(message["result"]["content"][0]["text"])
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return "(no message)"


def clipped(message: bytes, length: int) -> str:
    text = message[: length + 4].decode(errors="backslashreplace")  # a character has at most 4 bytes
    return text[:length] + CLIPPED if len(text) > length or len(message) > length + 4 else text


def printable(text: str) -> str:
    """On one line, whatever a server puts into a name: no line breaks, no terminal escapes."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
