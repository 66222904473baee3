"""Which response answers which request, and who is talking: the memory of one session, sans-I/O and serialisable.

Ids are unique only while in flight, and each direction has its own id space: a response travelling one way answers a
request that travelled the other. A response's `correlation_id` is its request's, which is that request's event id.
Moments are monotonic nanoseconds of the machine that recorded them; durations are milliseconds.

    notifications/progress     belongs to the call whose `progressToken` it names
    notifications/cancelled    ends the call that it names, after so long; an answer on its way still finds it. Whoever
                               asked sends it; a server also ends `subscriptions/listen` with it (2026-07-28)
    input_required             ends one request, and a new one carries on (2026-07-28): one correlation for both
    a task (see `tasks`)       is no end of its call: that is the answer which brings its result, or says that it failed
    subscriptions/listen       is a stream, so it has no duration

What is open is bounded (`open_calls`), and what had to be given up is counted in `spilled`.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from km_protocol.envelope import Direction

from km_client.agent import open_calls, retries, tasks
from km_client.agent.open_calls import InFlight, keep
from km_client.agent.understanding import Message, request_key

PROBE_REFUSALS = {-32600, -32601, -32602, -32022, *range(-32019, -31999)}
"""How servers of older revisions decline `server/discover`: the probe did its work, so none of these is a fault. Before
`initialize` many answer with a code of their own (-32000 to -32019), as "not initialized".
"""
PROBE_STATUSES = {400, 404, 405}  # the same of servers reached by HTTP that say nothing in JSON-RPC
CONNECTION_CLOSED = -32000  # how the SDKs' servers answer what is listened to when they are shut down: no fault
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
            keep(self.late, _under("request", key), self.request[key], open_calls.MAX_LATE)
            self._end("request", key)
        method = message.method if has_left else first.method
        is_error = message.is_error and not _is_refused_probe(first, message)
        return Relation(first.correlation_id, method, first.tool, first.took_ms(moment_ns), is_error)

    def _asked(
        self, message: Message, direction: Direction, event_id: str, moment_ns: int, exchange: Exchange
    ) -> Relation:
        method, body, tool = message.method or "", message.body, message.tool
        retry = retries.brought_by(message) if self.states else None
        correlation_id = self.states.pop(retry or "", event_id)
        if method == tasks.RESULT and (of_task := self._task(direction, body.task_id)):
            correlation_id = of_task.correlation_id
        if message.key is not None:
            token = request_key(message.progress_token)
            named = _under(direction, _scoped(token, exchange)) if token else ""
            names = open_calls.name_of(method), open_calls.name_of(tool or "") or None
            asked = InFlight(correlation_id, *names, moment_ns, exchange.number, named)
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
        if message.method in tasks.STATUSES and (key := _under(other, request_key(body.task_id))) in self.tasks:
            return self._task_changed(message, key, moment_ns)
        if message.method == "notifications/progress":
            about = self.tokens.get(_under(other, _scoped(request_key(body.progress_token) or "", exchange)))
        elif message.method == WITHHELD:
            about = self._asked_in(other).get(_scoped(request_key(body.request_id) or "", exchange))
        elif not isinstance(body.meta_raw, msgspec.UnsetType):
            meta, table = body.meta, self._asked_in(other)
            key = _scoped(request_key(meta.subscription_id) or "", exchange)
            about = table.get(key)
            if about and message.method == "notifications/subscriptions/acknowledged":
                table[key] = msgspec.structs.replace(about, is_heard=True)
            about = about or self.tasks.get(_under(other, request_key(meta.task_id)))
        else:
            about = None
        return Relation(about.correlation_id if about else None, message.method, is_error=message.is_error)

    def _cancelled(self, message: Message, direction: Direction, moment_ns: int, exchange: Exchange) -> Relation:
        key = _scoped(request_key(message.body.request_id) or "", exchange)
        asker, listening = direction, self._asked_in(opposite(direction)).get(key)
        if key not in self._asked_in(direction) and listening and listening.method in open_calls.STREAMS:
            asker = opposite(direction)
        about = self._end(asker, key)
        if about is None:
            return Relation(None, message.method, is_error=message.is_error)
        keep(self.late, _under(asker, key), about, open_calls.MAX_LATE)
        return Relation(about.correlation_id, message.method, about.tool, about.took_ms(moment_ns))

    def _answered(self, message: Message, direction: Direction, moment_ns: int, exchange: Exchange) -> Relation:
        other, key = opposite(direction), _scoped(message.key or "", exchange)
        asked = self._asked_in(other).pop(key, None)
        if asked is None:
            late = self.late.pop(_under(other, key), None)
            if late is None and message.kind == "error" and exchange.number and direction == "response":
                return self._failed(message, moment_ns, exchange)  # HTTP servers refuse under `null` or an id they made
            if late is None:
                return Relation(is_error=message.is_error)
            is_error = message.is_error and message.kind != "error"  # which says only that it was cancelled
            return Relation(late.correlation_id, late.method, late.tool, is_error=is_error)
        created = tasks.created_by(message.body)
        if created is not None:
            self.spilled += keep(self.tasks, _under(other, created), asked, open_calls.MAX_IN_FLIGHT)
            return Relation(asked.correlation_id, asked.method, asked.tool)
        self._forget_token(asked)
        if awaited := retries.asked_for(message, asked):
            keep(self.states, awaited, asked.correlation_id, open_calls.MAX_WAITING_STATES)
        if tasks.is_about(asked.method):
            return self._task_answered(message, asked, other, moment_ns)
        is_end = asked.is_heard and message.body.code == CONNECTION_CLOSED
        is_error = message.is_error and not is_end and not _is_refused_probe(asked, message)
        return Relation(asked.correlation_id, asked.method, asked.tool, asked.took_ms(moment_ns), is_error)

    def _task_changed(self, message: Message, key: str, moment_ns: int) -> Relation:
        """The call of a task ends with it, unless its result is yet to be asked for."""
        about, state = self.tasks[key], message.body
        ended = self._end_task(key) if tasks.is_over(state) else None
        took = ended.took_ms(moment_ns) if ended else None
        return Relation(about.correlation_id, message.method, about.tool, took, tasks.is_failure(state))

    def _task_answered(self, message: Message, asked: InFlight, owner: Direction, moment_ns: int) -> Relation:
        """What brings the result of a task, or says that it failed, is the answer to its call and the end of it."""
        own = Relation(asked.correlation_id, asked.method, asked.tool, asked.took_ms(moment_ns), message.is_error)
        state, is_error = message.body, message.is_error
        if asked.method == tasks.RESULT:
            key = next((key for key, each in self.tasks.items() if each.correlation_id == asked.correlation_id), "")
        else:
            key = _under(owner, request_key(state.task_id))
            is_error = is_error or tasks.is_failure(state)
        is_end = asked.method == tasks.RESULT or tasks.is_over(state)
        call = self._end_task(key) if is_end else None
        if call is None or (asked.method != tasks.RESULT and state.status == tasks.CANCELLED):
            return own
        return Relation(asked.correlation_id, call.method, call.tool, call.took_ms(moment_ns), is_error)

    def _end(self, direction: Direction, key: str) -> InFlight | None:
        asked = self._asked_in(direction).pop(key, None)
        if asked:
            self._forget_token(asked)
        return asked

    def _task(self, owner: Direction, task_id: object) -> InFlight | None:
        """The call that a task is of, also of one that ended lately."""
        key = _under(owner, request_key(task_id))
        return self.tasks.get(key) or self.late.get(_ended(key))

    def _end_task(self, key: str) -> InFlight | None:
        call = self.tasks.pop(key, None)
        if call:
            self._forget_token(call)
            keep(self.late, _ended(key), call, open_calls.MAX_LATE)
        return call

    def _forget_token(self, asked: InFlight) -> None:
        """Unless a newer call has chosen the same one."""
        named = self.tokens.get(asked.token)
        if named and named.correlation_id == asked.correlation_id:
            del self.tokens[asked.token]

    def _asked_in(self, direction: Direction) -> dict[str, InFlight]:
        return self.request if direction == "request" else self.response


def opposite(direction: Direction) -> Direction:
    return "response" if direction == "request" else "request"


def _is_refused_probe(asked: InFlight, answer: Message) -> bool:
    body = answer.body
    refusals = (body.code, PROBE_REFUSALS), (body.status, PROBE_STATUSES)
    return asked.method == "server/discover" and any(type(said) is int and said in known for said, known in refusals)


def _scoped(key: str, exchange: Exchange) -> str:
    return f"{exchange.scope}/{key}" if exchange.scope else key


def _ended(key: str) -> str:
    """Where a task stands among what is late, which is no place of a request's."""
    return f"task/{key}"


def _under(direction: Direction, key: str | None) -> str:
    return f"{direction}/{key}"
