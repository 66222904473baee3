"""The recorded client against a real server: says what was said, and compares what is answered now with what was then.

    verdicts = Play(Plan(said), RunningServer(["mcp-server-time"]), …).run()

Each message waits until everything has come that had been answered before it was said. What the server asks is answered
as it was then. Nothing else is compared: not ids, not when notifications come.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from km_client.watching.replaying.plan import Plan, key, name
from km_client.watching.replaying.sameness import Difference, Pointer, differences
from km_client.watching.replaying.server import RunningServer
from km_client.watching.replaying.stage import replaced

UNKNOWN_METHOD = -32601  # JSON-RPC 2.0 §5.1
_OUTSIDE = (("id",), ("jsonrpc",))
Message = dict[str, Any]


class Verdict(NamedTuple):
    """About one request. `problem` is why there is nothing to compare."""

    call: str
    differences: list[Difference]
    problem: str = ""

    @property
    def is_same(self) -> bool:
        return not self.differences and not self.problem


class Play:
    """One run. `timeout` is how long each answer may take, in seconds; `speed` 0 waits for nothing but answers. Both
    answers are compared, and shown, as `hide` leaves them.
    """

    def __init__(
        self,
        plan: Plan,
        server: RunningServer,
        *,
        timeout: float,
        speed: float = 0.0,
        ignored: Sequence[Pointer] = (),
        hide: Callable[[Any], Any] = lambda answer: answer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._server = server
        self._timeout = timeout
        self._speed = speed
        self._ignored = (*ignored, *_OUTSIDE)
        self._hide = hide
        self._clock = clock
        self._deadlines: dict[int, float] = {}
        self._open: dict[str, int] = {}
        self._answers: dict[int, Message] = {}
        self._asked: dict[str, deque[Message]] = {}
        self._extra: list[Verdict] = []

    def run(self) -> list[Verdict]:
        """Play to the end: a verdict for each request that was answered then, in order, then what was not recorded."""
        before = 0.0
        answered: list[int] = []  # requests of the client whose answer stands before this place of the recording
        by_answer = {answer: asked for asked, answer in self._plan.answers.items()}
        for number, one in enumerate(self._plan.said):
            if not one.from_client:
                if (asked := by_answer.get(number)) is not None:
                    answered.append(asked)
            elif one.message is not None:
                self._await_all(answered)
                self._pause(one.at - before)
                self._say(number, by_answer.get(number))
            before = one.at
        self._await_all(answered)
        return [self._verdict(asked) for asked in self._plan.requests if asked in self._plan.answers] + self._extra

    def _pause(self, seconds: float) -> None:
        """As long as the client took; what comes meanwhile is taken."""
        until = self._clock() + (seconds / self._speed if self._speed else 0.0)
        while self._clock() < until and self._take(until):
            continue

    def _say(self, number: int, answers: int | None) -> None:
        content = self._plan.said[number].content
        if answers is not None:
            asked = self._await_asked(self._plan.message(answers))
            if asked is None:
                return
            content = replaced(content, ("id",), asked["id"])
        elif self._plan.is_request(number):
            self._open[key(self._plan.message(number)["id"])] = number
            self._deadlines[number] = self._clock() + self._timeout
        self._server.say(content)

    def _await_all(self, requests: list[int]) -> None:
        for asked in requests:
            while asked not in self._answers and self._take(self._deadlines.get(asked, 0.0)):
                continue
        requests.clear()

    def _await_asked(self, recorded: Message) -> Message | None:
        """What the server asks now in place of what it asked then."""
        method, deadline = recorded["method"], self._clock() + self._timeout
        waiting = self._asked.setdefault(method, deque())
        while not waiting and self._take(deadline):
            continue
        if waiting:
            return waiting.popleft()
        self._extra.append(Verdict(f"{method} of the server", [], "it was asked then, and is not now"))
        return None

    def _take(self, deadline: float) -> bool:
        """Take the next message; `False` when there is none before the deadline, or never will be."""
        message = self._server.hear(max(0.0, deadline - self._clock()))
        if message is None:
            return False
        if "method" not in message:
            asked = self._open.pop(key(message.get("id")), None)
            if asked is not None:
                self._answers[asked] = message
        elif message.get("id") is not None:
            self._hear_request(message)
        return True

    def _hear_request(self, message: Message) -> None:
        is_recorded = any(
            not one.from_client
            and number in self._plan.answers
            and self._plan.message(number)["method"] == message["method"]
            for number, one in enumerate(self._plan.said)
            if one.message
        )
        if is_recorded:
            self._asked.setdefault(message["method"], deque()).append(message)
        elif message["method"] == "ping":
            self._server.say(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": {}}).encode())
        else:
            self._extra.append(Verdict(f"{name(message)} of the server", [], "it was not asked then"))
            error = {"code": UNKNOWN_METHOD, "message": "nothing recorded answers this"}
            self._server.say(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error}).encode())

    def _verdict(self, asked: int) -> Verdict:
        call = name(self._plan.message(asked))
        answer = self._answers.get(asked)
        if answer is not None:
            recorded = self._plan.message(self._plan.answers[asked])
            return Verdict(call, differences(self._hide(recorded), self._hide(answer), self._ignored))
        if asked not in self._deadlines:
            return Verdict(call, [], "it was not asked")
        ended = self._server.ending
        return Verdict(call, [], f"the server ended: {ended}" if ended else f"no answer within {self._timeout:g} s")
