"""Which request, trace, customer and person a line of the log is about.

    X-Request-ID: 7f3a-checkout                                             kept, when it is of a harmless form
    traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01    its trace id is kept (W3C Trace Context)
    → every line logged meanwhile: {"request_id": "7f3a-checkout", "trace_id": "4bf92f35…", "customer_id": "cus_7Yd0…"}

Ids are bound to the thread that serves the request, and carried to the tasks it queues (`core.task_log`). What a caller
sends is a name to search the log by and never proves anything; an id of another form is replaced by a new one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

CARRIED = ("request_id", "trace_id", "customer_id", "key_id", "user_id")
"""What a task inherits from the request that queued it."""

MAX_CHARACTERS = 128  # longer than any tracing system's ids
_REQUEST_ID = re.compile(rf"[0-9A-Za-z][0-9A-Za-z._:/+=-]{{0,{MAX_CHARACTERS - 1}}}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


def begin(request_id: str | None, traceparent: str | None) -> str:
    """Bind the ids of a request from its two headers, and forget the last one's. Returns the request id in force."""
    clear_contextvars()
    accepted = request_id if request_id and _REQUEST_ID.fullmatch(request_id) else os.urandom(16).hex()
    bind_contextvars(request_id=accepted, trace_id=trace_id(traceparent) or os.urandom(16).hex())
    return accepted


def trace_id(traceparent: str | None) -> str | None:
    """The trace id of a `traceparent` header, W3C Trace Context §3.2; `None` when there is no valid one.

    A version after 00 may add fields behind the flags; 00 itself may not.
    """
    match = _TRACEPARENT.fullmatch(traceparent) if traceparent and len(traceparent) <= 4 * MAX_CHARACTERS else None
    if match is None or (match[2] and match[0].startswith("00")):
        return None
    return match[1]


def identify(**ids: str) -> None:
    """Name who is behind it, once that is proved: `customer_id`, `key_id`, `user_id`. Blank ones are left out."""
    bind_contextvars(**{name: value for name, value in ids.items() if value})


def carried() -> dict[str, str]:
    """The ids in force, for whoever continues this work elsewhere."""
    bound = get_contextvars()
    return {name: bound[name] for name in CARRIED if name in bound}


def resume(ids: Mapping[str, Any]) -> None:
    """Bind what `carried` gave, in another process; whatever else a message may hold is left out."""
    clear_contextvars()
    bind_contextvars(
        **{name: str(ids[name])[:MAX_CHARACTERS] for name in CARRIED if isinstance(ids.get(name), str | int)}
    )


def end() -> None:
    """Forget them all."""
    clear_contextvars()
