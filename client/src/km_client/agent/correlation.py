"""Which response answers which request, and who is talking: the memory of one session, sans-I/O and serialisable.

Ids are unique only while in flight, and each direction has its own id space: a response travelling one way answers a
request that travelled the other. A response's `correlation_id` is its request's, which is that request's event id.
From 2026-07-28 on, `input_required` ends one request and a new one with the same `requestState` carries on: they share
one `correlation_id`. Moments are monotonic nanoseconds of the machine that recorded them; durations are milliseconds.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import msgspec
from km_protocol.envelope import Direction

from km_client.agent.understanding import Message, request_key

MAX_IN_FLIGHT = 10_000  # per direction; a peer that never answers must not fill the memory: the oldest are forgotten
MAX_WAITING_STATES = 1_000
PROBE_REFUSALS = {-32600, -32601, -32602, -32022}
"""How servers of older revisions decline `server/discover`: the probe did its work, so none of these is a fault."""


class Exchange(NamedTuple):
    """The HTTP exchange that brought a message. `scope` is within what ids are unique: 0 is the session. `ends` says
    that the exchange brought a failure in place of an answer.
    """

    number: int = 0
    scope: int = 0
    ends: bool = False


NO_EXCHANGE = Exchange()


class InFlight(msgspec.Struct, frozen=True):
    """A request that has no response yet. `exchange` is 0 where there are none, on stdio."""

    correlation_id: str
    method: str
    tool: str | None
    asked_ns: int
    exchange: int = 0


class Relation(msgspec.Struct, frozen=True):
    """What the rest of the session says about one message. `duration_ms` is there for what ends a request."""

    correlation_id: str | None = None
    method: str | None = None
    tool: str | None = None
    duration_ms: float | None = None
    is_error: bool = False


class Conversation(msgspec.Struct):
    """The requests in flight, by the direction they travelled in, and the request states waiting for a retry."""

    request: dict[str, InFlight] = {}
    response: dict[str, InFlight] = {}
    states: dict[str, str] = {}

    def relate(
        self, message: Message, direction: Direction, event_id: str, moment_ns: int, exchange: Exchange = NO_EXCHANGE
    ) -> Relation:
        """Take the next message of the session into account. Call it in the order of the stream."""
        if exchange.ends:
            return self._failed(message, moment_ns, exchange)
        if message.kind == "request":
            return self._asked(message, direction, event_id, moment_ns, exchange)
        if message.kind == "notification":
            return self._noticed(message, direction, exchange)
        return self._answered(message, direction, moment_ns, exchange)

    def _failed(self, message: Message, moment_ns: int, exchange: Exchange) -> Relation:
        """A failure of HTTP is the answer to what was asked in that exchange."""
        key, asked = next(
            ((key, asked) for key, asked in self.request.items() if asked.exchange == exchange.number), (None, None)
        )
        if key is None or asked is None:
            return Relation(None, message.method, is_error=message.is_error)
        if message.kind == "notification":  # the client left; the answer may still come, on a resumed stream
            return Relation(asked.correlation_id, message.method)
        del self.request[key]
        duration_ms = max(0, moment_ns - asked.asked_ns) / 1e6
        return Relation(asked.correlation_id, asked.method, asked.tool, duration_ms, message.is_error)

    def _asked(
        self, message: Message, direction: Direction, event_id: str, moment_ns: int, exchange: Exchange
    ) -> Relation:
        method = message.method or ""
        tool = message.body.name if method == "tools/call" and isinstance(message.body.name, str) else None
        correlation_id = self._carries_on(message) or event_id
        if message.key is not None:
            open_requests = self._asked_in(direction)
            key = _scoped(message.key, exchange)
            open_requests.pop(key, None)
            open_requests[key] = InFlight(correlation_id, method, tool, moment_ns, exchange.number)
            _forget_oldest(open_requests, MAX_IN_FLIGHT)
        return Relation(correlation_id, method, tool)

    def _noticed(self, message: Message, direction: Direction, exchange: Exchange) -> Relation:
        """`notifications/cancelled` names its sender's request, a subscription's notice its receiver's."""
        if message.method == "notifications/cancelled":
            about = self._asked_in(direction).get(_key_of(message.body.request_id, exchange))
        elif not isinstance(message.body.meta_raw, msgspec.UnsetType):
            about = self._asked_in(opposite(direction)).get(_key_of(message.body.meta.subscription_id, exchange))
        else:
            about = None
        return Relation(about.correlation_id if about else None, message.method, is_error=message.is_error)

    def _answered(self, message: Message, direction: Direction, moment_ns: int, exchange: Exchange) -> Relation:
        asked = self._asked_in(opposite(direction)).pop(_scoped(message.key or "", exchange), None)
        if asked is None:
            return Relation(is_error=message.is_error)
        self._remember_state(message, asked)
        refused_probe = asked.method == "server/discover" and message.body.code in PROBE_REFUSALS
        duration_ms = max(0, moment_ns - asked.asked_ns) / 1e6
        is_error = message.is_error and not refused_probe
        return Relation(asked.correlation_id, asked.method, asked.tool, duration_ms, is_error)

    def _carries_on(self, message: Message) -> str | None:
        state = message.body.request_state
        return self.states.pop(_digest(state), None) if isinstance(state, str) and self.states else None

    def _remember_state(self, message: Message, asked: InFlight) -> None:
        state = message.body.request_state
        if message.body.result_type == "input_required" and isinstance(state, str):
            self.states[_digest(state)] = asked.correlation_id
            _forget_oldest(self.states, MAX_WAITING_STATES)

    def _asked_in(self, direction: Direction) -> dict[str, InFlight]:
        return self.request if direction == "request" else self.response


def opposite(direction: Direction) -> Direction:
    return "response" if direction == "request" else "request"


def _key_of(identifier: object, exchange: Exchange) -> str:
    return _scoped(request_key(identifier) or "", exchange)


def _scoped(key: str, exchange: Exchange) -> str:
    return f"{exchange.scope}/{key}" if exchange.scope else key


def _digest(state: str) -> str:
    """A request state may hold anything, of any size: only whether it comes back matters."""
    return hashlib.blake2b(state.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _forget_oldest(remembered: dict[str, InFlight] | dict[str, str], limit: int) -> None:
    while len(remembered) > limit:
        remembered.pop(next(iter(remembered)))
