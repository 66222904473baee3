"""A recorded server that answers as it did: sans-I/O, so that a test may be its clock.

    stage = Stage(Plan(said))
    stage.hear({"jsonrpc": "2.0", "id": "x7", "method": "tools/list"}, now=0.0)
    stage.due(now=0.012)      → [b'{"jsonrpc":"2.0","id":"x7","result":{…}}']

A request is known by its method and params (without `_meta`), the first such that was not asked yet; ids and progress
tokens are the asker's. `initialize` and `server/discover` are known by their method alone, for every client calls
itself something else. Asked again, the last answer is given again; a ping that was not recorded is answered. `strict`
does neither, and wants the requests in the order of the recording. What nobody recorded gets an error that says what
was expected.
"""

from __future__ import annotations

import heapq
import json
from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from km_client.watching.replaying.plan import SUBSCRIPTION, Cue, Plan, key, params_of, progress_token, shown
from km_client.watching.replaying.sameness import Pointer, differences

UNRECORDED = -32000  # JSON-RPC 2.0 §5.1: from -32000 on for servers to define
KNOWN_BY_METHOD = frozenset({"initialize", "server/discover"})
NEXT_SHOWN = 3
PLACES_SHOWN = 5
_META = ("params", "_meta")
Message = dict[str, Any]


class Stage:
    """`speed` 2.0 waits half as long as was recorded, 0 not at all. `unmatched` counts what nobody recorded."""

    def __init__(
        self, plan: Plan, *, speed: float = 1.0, strict: bool = False, ignored: Sequence[Pointer] = ()
    ) -> None:
        self.unmatched = 0
        self._plan = plan
        self._speed = speed
        self._strict = strict
        self._ignored = (*ignored, _META)
        self._unasked = dict.fromkeys(plan.requests)
        self._asked: dict[int, Message] = {}
        self._done: set[int] = set()
        self._cues: dict[int | None, list[Cue]] = {}  # by each thing that they come after
        for cue in plan.cues:
            for number in cue.after or (None,):
                self._cues.setdefault(number, []).append(cue)
        self._notices: dict[str, deque[int]] = {}
        for number in plan.notifications:
            self._notices.setdefault(plan.message(number)["method"], deque()).append(number)
        self._queue: list[tuple[float, int, bytes, str]] = []
        self._cancelled: set[str] = set()

    @property
    def unasked(self) -> list[str]:
        """Recorded requests that nobody asked."""
        return [shown(self._plan.message(number)) for number in self._unasked]

    def begin(self, now: float) -> None:
        """Somebody listens: what the server says unasked may be said."""
        self._release(None, now)

    def hear(self, message: Message, now: float) -> None:
        """The client said this."""
        if "method" not in message:
            self._hear_answer(message, now)
        elif message.get("id") is None:
            self._hear_notification(message, now)
        else:
            self._hear_request(message, now)

    def due(self, now: float) -> list[bytes]:
        """The lines to be sent by now, in order."""
        lines = []
        while self._queue and self._queue[0][0] <= now:
            _, _, line, answers = heapq.heappop(self._queue)
            if answers not in self._cancelled:
                lines.append(line)
        return lines

    @property
    def next_due(self) -> float | None:
        """When there is something to be sent."""
        return self._queue[0][0] if self._queue else None

    def _hear_request(self, message: Message, now: float) -> None:
        number = self._match(message)
        if number is not None:
            self._unasked.pop(number)
            self._asked[number] = message
            self._do(number, now)
        elif (again := None if self._strict else self._match_again(message)) is not None:
            answer = next(cue for cue in self._plan.cues if cue.number == self._plan.answers[again])
            self._put(answer, now, message)
        elif message["method"] == "ping" and not self._strict:
            self._queue_line(now, {"jsonrpc": "2.0", "id": message["id"], "result": {}})
        else:
            self.unmatched += 1
            self._queue_line(now, self._refusal(message))

    def _hear_notification(self, message: Message, now: float) -> None:
        if message["method"] == "notifications/cancelled":
            self._cancelled.add(key(params_of(message).get("requestId")))
        if numbers := self._notices.get(message["method"]):
            self._do(numbers.popleft(), now)

    def _hear_answer(self, message: Message, now: float) -> None:
        for asked, answer in self._plan.answers.items():
            is_it = not self._plan.said[asked].from_client and answer not in self._done
            if is_it and key(self._plan.message(asked).get("id")) == key(message.get("id")):
                self._do(answer, now)
                return

    def _match(self, message: Message) -> int | None:
        for number in self._unasked:
            if self._is_same(number, message):
                return number
            if self._strict:
                return None
        return None

    def _match_again(self, message: Message) -> int | None:
        """The last time the same was asked and answered."""
        asked = (number for number in reversed(self._asked) if number in self._plan.answers)
        return next((number for number in asked if self._is_same(number, message)), None)

    def _is_same(self, number: int, message: Message) -> bool:
        recorded = self._plan.message(number)
        if recorded["method"] != message["method"]:
            return False
        return message["method"] in KNOWN_BY_METHOD or not self._differences(recorded, message)

    def _differences(self, recorded: Message, message: Message) -> list[str]:
        then, now = ({"params": params_of(one)} for one in (recorded, message))
        return [each.pointer for each in differences(then, now, self._ignored)]

    def _do(self, number: int, now: float) -> None:
        self._done.add(number)
        self._release(number, now)

    def _release(self, number: int | None, now: float) -> None:
        for cue in self._cues.pop(number, ()):
            if cue.after <= self._done:
                self._put(cue, now, self._asked.get(cue.own) if cue.own is not None else None)

    def _put(self, cue: Cue, now: float, asked: Message | None) -> None:
        line = self._rewritten(cue, asked)
        if line is not None:
            at = now + (cue.delay / self._speed if self._speed else 0.0)
            is_answer = asked is not None and "method" not in self._plan.message(cue.number)
            heapq.heappush(self._queue, (at, cue.number, line, key(asked["id"]) if asked and is_answer else ""))

    def _queue_line(self, now: float, message: Message) -> None:
        heapq.heappush(self._queue, (now, -1, json.dumps(message, separators=(",", ":")).encode(), ""))

    def _rewritten(self, cue: Cue, asked: Message | None) -> bytes | None:
        """The recorded bytes with the asker's id or token; `None` where the asker wants no such message."""
        said = self._plan.said[cue.number]
        if asked is None:
            return _one_line(said.content)
        if "method" not in self._plan.message(cue.number):
            return replaced(said.content, ("id",), asked["id"])
        if "progressToken" in params_of(self._plan.message(cue.number)):
            token = progress_token(asked)
            return None if token is None else replaced(said.content, ("params", "progressToken"), token)
        return replaced(said.content, ("params", "_meta", SUBSCRIPTION), asked["id"])

    def _refusal(self, message: Message) -> Message:
        may_come = list(self._unasked)[: 1 if self._strict else None]
        same_method = [number for number in may_come if self._plan.message(number)["method"] == message["method"]]
        recorded = [self._plan.message(number) for number in same_method or may_come][:NEXT_SHOWN]
        expected = [shown(each) for each in recorded]
        words = f"nothing recorded answers {shown(message)}"
        words += f"; expected: {' | '.join(expected)}" if expected else "; every recorded request was asked already"
        data: Message = {"asked": shown(message), "expected": expected}
        if same_method:
            data["differs_at"] = self._differences(recorded[0], message)[:PLACES_SHOWN]
        return {"jsonrpc": "2.0", "id": message["id"], "error": {"code": UNRECORDED, "message": words, "data": data}}


def replaced(content: bytes, place: tuple[str, ...], value: Any) -> bytes:
    """`content` with another value at `place`; every other byte of every member stays as it was recorded."""
    try:
        return _replaced(content, place, value)
    except (msgspec.DecodeError, UnicodeError):  # NaN, lone surrogates: only Python's own parser takes them
        message = json.loads(content)
        inner = message
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = value
        return json.dumps(message).encode()


def _replaced(content: bytes, place: tuple[str, ...], value: Any) -> bytes:
    members = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    step, *deeper = place
    inner = _replaced(bytes(members[step]), tuple(deeper), value) if deeper else msgspec.json.encode(value)
    return _one_line(msgspec.json.encode({**members, step: msgspec.Raw(inner)}))


def _one_line(content: bytes) -> bytes:
    """Line feeds between tokens of JSON are white space; within its strings there are none."""
    return content.replace(b"\r", b" ").replace(b"\n", b" ").strip()
