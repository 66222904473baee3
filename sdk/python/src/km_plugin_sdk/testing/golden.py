"""The golden stream: one session, as JSON lines beside this file (`golden.jsonl`, shared with the Go SDK).

Each line is an event; `message` is its text, or `message_base64` its bytes where they are no text. Among them: a
response whose id repeats one of the other direction, a tool that fails, a protocol error, a line that is not JSON, one
that is not UTF-8, U+2028 inside a string, a number beyond 64 bits, an empty message, a session without `initialize`.
"""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import datetime
from importlib import resources
from typing import Any

from km_plugin_sdk.events import Party, StreamEvent


def golden_events(*, repeat: int = 1) -> list[StreamEvent]:
    """The stream's events in order; `repeat` times over, with new ids and sequence numbers, for a longer one."""
    text = resources.files(__package__).joinpath("golden.jsonl").read_text(encoding="utf-8")
    events = [_event(json.loads(line)) for line in text.split("\n") if line]
    return [
        replace(event, id=f"{event.id[:-4]}{turn:04x}", sequence=event.sequence + turn * len(events)) if turn else event
        for turn in range(repeat)
        for event in events
    ]


def _event(values: dict[str, Any]) -> StreamEvent:
    encoded = values.pop("message_base64", None)
    message = base64.b64decode(encoded) if encoded is not None else values.pop("message").encode()
    values["timestamp"] = datetime.fromisoformat(values["timestamp"])
    for key in ("server_info", "client_info"):
        values[key] = Party(**values.get(key, {}))
    return StreamEvent(message=message, **({"size": len(message)} | values))
