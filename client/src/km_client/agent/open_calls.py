"""Calls that are still open, in bounded tables: a call may take hours, and a peer that never answers fills no memory.

    spilled += keep(table, "i1", InFlight(…), MAX_IN_FLIGHT)       how many were given up for it, the oldest first
    table.pop("i1").took_ms(moment_ns)       -> 12.5

A key is what a request is known by while it is in flight (`request_key`). Everything is serialisable, for it stands in
the checkpoint of the session.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, MutableMapping
from typing import TypeVar

import msgspec

MAX_IN_FLIGHT = 10_000  # per direction, and as many tasks and progress tokens; the oldest are given up, and counted
MAX_LATE = 1_000  # cancelled, and perhaps answered all the same: the answer was on its way
MAX_WAITING_STATES = 1_000
MAX_NAME = 1_000  # characters; MCP's tool names have 128, and what a peer chose may be megabytes
STREAMS = {"subscriptions/listen"}  # open for as long as the client listens: that is not slowness
T = TypeVar("T")


class InFlight(msgspec.Struct, frozen=True):
    """A request that has no response yet. `exchange` is 0 where there are none, on stdio; `token` is what progress
    names it by, as a key of `Conversation.tokens`; `is_heard` says that a subscription was acknowledged.

    `method` is blank and `tool` missing where they are no names by their length: they are not cut off, for of a secret
    that is cut in two nobody can tell what it is.
    """

    correlation_id: str
    method: str
    tool: str | None
    asked_ns: int
    exchange: int = 0
    token: str = ""
    is_heard: bool = False

    def took_ms(self, moment_ns: int) -> float | None:
        """How long it was open; `None` for what is no call."""
        return None if self.method in STREAMS else max(0, moment_ns - self.asked_ns) / 1e6


def keep(table: MutableMapping[str, T], key: str, value: T, limit: int) -> int:
    """Put `value` in as the newest, and take out the oldest over `limit`. Returns how many those were."""
    table.pop(key, None)
    table[key] = value
    surplus = max(0, len(table) - limit)
    for _ in range(surplus):
        table.pop(next(iter(table)))
    return surplus


def name_of(text: str) -> str:
    """`text` where it may be a name, else nothing."""
    return text if len(text) <= MAX_NAME else ""


def digest(*parts: str) -> str:
    """What a peer chose may be of any size: only whether it comes back matters."""
    joined = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(joined, digest_size=16).hexdigest()


def digest_of_names(method: str, subject: object, names: Iterable[str]) -> str:
    """What an answer without a state is known by: who asked for which inputs."""
    return digest(method, str(subject), *sorted(names))
