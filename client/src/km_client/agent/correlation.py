"""Which response answers which request, and who is talking: the memory of one session, sans-I/O and serialisable.

Ids are unique only while in flight, and each direction has its own id space: a response travelling one way answers a
request that travelled the other. A response's `correlation_id` is its request's, which is that request's event id.
Moments are monotonic nanoseconds of the machine that recorded them; durations are milliseconds.

    notifications/progress     belongs to the call whose `progressToken` it names
    notifications/cancelled    ends the call that it names, after so long; an answer on its way still finds it
    input_required             ends one request, and a new one carries on (2026-07-28): one correlation for both
    a task (2025-11-25)        is no end of its call: that is the answer to `tasks/result`, or a task that failed
    subscriptions/listen       is a stream, so it has no duration

What is open is bounded (`open_calls`), and what had to be given up is counted in `spilled`.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from km_protocol.envelope import Direction

from km_client.agent import open_calls, tasks
from km_client.agent.open_calls import InFlight, digest, digest_of_names, keep
from km_client.agent.understanding import Message, names_of, request_key

PROBE_REFUSALS = {-32600, -32601, -32602, -32022}
"""How servers of older revisions decline `server/discover`: the probe did its work, so none of these is a fault."""
WITHHELD = "kilometers/withheld"  # a note of the relay's: see `proxy.holding`


class Exchange(NamedTuple):
    """The HTTP exchange that brought a message. `scope` is within what ids are unique: 0 is the session. `ends` says
    that the exchange brought a failure in place of an answer.
    """

    number: int = 0
    scope: int = 0
    ends: bool = False


NO_EXCHANGE = Exchange()


class Relation(msgspec.Struct, frozen=True):
    """What the rest of the session says about one message. `duration_ms` is there for what ends a request."""

    correlation_id: str | None = None
    method: str | None = None
    tool: str | None = None
    duration_ms: float | None = None
    is_error: bool = False


class Conversation(msgspec.Struct):
    """The requests in flight, by the direction they travelled in; what else is waited for, each under its direction:
    `tokens` of progress, `late` answers to what was cancelled, `tasks`; and the request states waiting for a retry.
    """

    request: dict[str, InFlight] = {}
    response: dict[str, InFlight] = {}
    states: dict[str, str] = {}
    tokens: dict[str, InFlight] = {}
    late: dict[str, InFlight] = {}
    tasks: dict[str, InFlight] = {}
    spilled: int = 0

    def relate(
        self, message: Message, direction: Direction, event_id: str, moment_ns: int, exchange: Exchange = NO_EXCHANGE
    ) -> Relation:
        """Take the next message of the session into account. Call it in the order of the stream."""
        if exchange.ends:
            return self._failed(message, moment_ns, exchange)
        if message.kind == "request":
            return self._asked(message, direction, event_id, moment_ns, exchange)
        if message.kind == "notification":
            return self._noticed(message, direction, moment_ns, exchange)
        return self._answered(message, direction, moment_ns, exchange)

    def _failed(self, message: Message, moment_ns: int, exchange: Exchange) -> Relation:
        """A failure of HTTP is the answer to what was asked in that exchange, to all of a batch."""
        keys = [key for key, asked in self.request.items() if asked.exchange == exchange.number]
        if not keys:
            return Relation(None, message.method, is_error=message.is_error)
        first = self.request[keys[0]]
        has_left = message.kind == "notification"
        if has_left and not exchange.scope:  # within a session the answer may still come, on a resumed stream
            return Relation(first.correlation_id, message.method)
        for key in keys:
            self._end("request", key)
        method = message.method if has_left else first.method
        return Relation(first.correlation_id, method, first.tool, first.took_ms(moment_ns), message.is_error)

    def _asked(
        self, message: Message, direction: Direction, event_id: str, moment_ns: int, exchange: Exchange
    ) -> Relation:
        method, body = message.method or "", message.body
        tool = body.name if method == "tools/call" and isinstance(body.name, str) else None
        of_task = self.tasks.get(_under(direction, request_key(body.task_id))) if tasks.is_about(method) else None
        correlation_id = self._carries_on(message) or event_id
        if of_task:
            tool = of_task.tool
            correlation_id = of_task.correlation_id if method == tasks.RESULT else correlation_id
        if message.key is not None:
            token = request_key(message.progress_token)
            named = _under(direction, _scoped(token, exchange)) if token else ""
            asked = InFlight(correlation_id, method, tool, moment_ns, exchange.number, named)
            key = _scoped(message.key, exchange)
            self._end(direction, key)
            self.spilled += keep(self._asked_in(direction), key, asked, open_calls.MAX_IN_FLIGHT)
            if named:
                keep(self.tokens, named, asked, open_calls.MAX_IN_FLIGHT)
        return Relation(correlation_id, method, tool)

    def _noticed(self, message: Message, direction: Direction, moment_ns: int, exchange: Exchange) -> Relation:
        """`notifications/cancelled` names its sender's request, everything else its receiver's."""
        other, body = opposite(direction), message.body
        if message.method == "notifications/cancelled":
            return self._cancelled(message, direction, moment_ns, exchange)
        if message.method == tasks.STATUS:
            return self._task_changed(message, other, moment_ns)
        if message.method == "notifications/progress":
            about = self.tokens.get(_under(other, _scoped(request_key(body.progress_token) or "", exchange)))
        elif message.method == WITHHELD:
            about = self._asked_in(other).get(_scoped(request_key(body.request_id) or "", exchange))
        elif not isinstance(body.meta_raw, msgspec.UnsetType):
            meta = body.meta
            about = self._asked_in(other).get(_scoped(request_key(meta.subscription_id) or "", exchange))
            about = about or self.tasks.get(_under(other, request_key(meta.task_id)))
        else:
            about = None
        return Relation(about.correlation_id if about else None, message.method, is_error=message.is_error)

    def _cancelled(self, message: Message, direction: Direction, moment_ns: int, exchange: Exchange) -> Relation:
        key = _scoped(request_key(message.body.request_id) or "", exchange)
        about = self._end(direction, key)
        if about is None:
            return Relation(None, message.method, is_error=message.is_error)
        keep(self.late, _under(direction, key), about, open_calls.MAX_LATE)
        return Relation(about.correlation_id, message.method, about.tool, about.took_ms(moment_ns))

    def _answered(self, message: Message, direction: Direction, moment_ns: int, exchange: Exchange) -> Relation:
        other, key = opposite(direction), _scoped(message.key or "", exchange)
        asked = self._asked_in(other).pop(key, None)
        if asked is None:
            late = self.late.pop(_under(other, key), None)
            if late is None:
                return Relation(is_error=message.is_error)
            return Relation(late.correlation_id, late.method, late.tool, is_error=message.is_error)
        created = tasks.created_by(message.body)
        if created is not None:
            self.spilled += keep(self.tasks, _under(other, created), asked, open_calls.MAX_IN_FLIGHT)
            return Relation(asked.correlation_id, asked.method, asked.tool)
        self.tokens.pop(asked.token, None)
        self._remember_state(message, asked)
        if tasks.is_about(asked.method):
            return self._task_answered(message, asked, other, moment_ns)
        refused_probe = asked.method == "server/discover" and message.body.code in PROBE_REFUSALS
        is_error = message.is_error and not refused_probe
        return Relation(asked.correlation_id, asked.method, asked.tool, asked.took_ms(moment_ns), is_error)

    def _task_changed(self, message: Message, owner: Direction, moment_ns: int) -> Relation:
        """A task that failed or was cancelled has no result to ask for: its call ends here."""
        key = _under(owner, request_key(message.body.task_id))
        about = self.tasks.get(key)
        if about is None:
            return Relation(None, message.method, is_error=message.is_error)
        ended = self._end_task(key) if message.body.status in tasks.WITHOUT_RESULT else None
        took = ended.took_ms(moment_ns) if ended else None
        return Relation(about.correlation_id, message.method, about.tool, took, message.body.status == tasks.FAILED)

    def _task_answered(self, message: Message, asked: InFlight, owner: Direction, moment_ns: int) -> Relation:
        """The answer to `tasks/result` is its call's, and the end of it. `tasks/get` may find the end, too."""
        own = Relation(asked.correlation_id, asked.method, asked.tool, asked.took_ms(moment_ns), message.is_error)
        if asked.method == tasks.RESULT:
            key = next((key for key, each in self.tasks.items() if each.correlation_id == asked.correlation_id), "")
        else:
            key = _under(owner, request_key(message.body.task_id))
        if asked.method != tasks.RESULT and not tasks.is_over(message.body):
            return own
        call = self._end_task(key)
        if call is None or asked.method != tasks.RESULT:
            return own
        return Relation(call.correlation_id, call.method, call.tool, call.took_ms(moment_ns), message.is_error)

    def _end(self, direction: Direction, key: str) -> InFlight | None:
        asked = self._asked_in(direction).pop(key, None)
        if asked:
            self.tokens.pop(asked.token, None)
        return asked

    def _end_task(self, key: str) -> InFlight | None:
        call = self.tasks.pop(key, None)
        if call:
            self.tokens.pop(call.token, None)
        return call

    def _carries_on(self, message: Message) -> str | None:
        """The exchange that a retry belongs to: by the state it brings back, or by the answers it brings."""
        if not self.states:
            return None
        state, answers = message.body.request_state, names_of(message.body.input_responses)
        if isinstance(state, str):
            return self.states.pop(digest(state), None)
        return (
            self.states.pop(digest_of_names(message.method or "", _subject(message), answers), None)
            if answers
            else None
        )

    def _remember_state(self, message: Message, asked: InFlight) -> None:
        if message.body.result_type != "input_required":
            return
        state, wanted = message.body.request_state, names_of(message.body.input_requests)
        if isinstance(state, str):
            keep(self.states, digest(state), asked.correlation_id, open_calls.MAX_WAITING_STATES)
        elif wanted:
            named = digest_of_names(asked.method, asked.tool, wanted)
            keep(self.states, named, asked.correlation_id, open_calls.MAX_WAITING_STATES)

    def _asked_in(self, direction: Direction) -> dict[str, InFlight]:
        return self.request if direction == "request" else self.response


def opposite(direction: Direction) -> Direction:
    return "response" if direction == "request" else "request"


def _subject(message: Message) -> object:
    name = message.body.name
    return name if message.method == "tools/call" and isinstance(name, str) else None


def _scoped(key: str, exchange: Exchange) -> str:
    return f"{exchange.scope}/{key}" if exchange.scope else key


def _under(direction: Direction, key: str | None) -> str:
    return f"{direction}/{key}"
