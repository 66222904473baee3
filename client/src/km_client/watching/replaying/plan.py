"""What depends on what in a recording: when a server may say each thing, whoever asks and in whatever order.

An answer comes after its request, and after the client's answers to what the server asked meanwhile. Progress, and the
messages of a subscription, come after the request they name. Anything else comes after what the client last said.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from km_client.watching.replaying.recordings import Said

SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
_SHOWN = 100  # characters of params


class Cue(NamedTuple):
    """One thing the server said: `after` which of the client's (by number), and how many seconds after the last.

    `own` is the request it answers or names, if any.
    """

    number: int
    after: frozenset[int]
    delay: float
    own: int | None


class Plan:
    """Numbers are places in `said`. `answers` is request → its answer, of both sides."""

    def __init__(self, said: list[Said]) -> None:
        self.said = said
        self.answers: dict[int, int] = {}
        self.cues: list[Cue] = []
        self._asked: dict[tuple[bool, str], int] = {}
        self._tokens: dict[str, int] = {}
        self._replies: list[tuple[int, int]] = []
        self._last: int | None = None
        for number, one in enumerate(said):
            if one.message is not None:
                self._take(number, one.from_client, one.message)

    @property
    def requests(self) -> list[int]:
        """What the client asked, in order."""
        return [number for number in range(len(self.said)) if self.is_request(number) and self.said[number].from_client]

    @property
    def notifications(self) -> list[int]:
        """What the client let the server know, in order."""
        return [
            number
            for number, one in enumerate(self.said)
            if one.from_client and one.message and "method" in one.message and one.message.get("id") is None
        ]

    def message(self, number: int) -> dict[str, Any]:
        message = self.said[number].message
        assert message is not None
        return message

    def is_request(self, number: int) -> bool:
        message = self.said[number].message
        return message is not None and "method" in message and message.get("id") is not None

    def _take(self, number: int, from_client: bool, message: dict[str, Any]) -> None:
        own = self._own(number, from_client, message)
        if from_client:
            self._last = number
            return
        after = {own} if own is not None else {self._last} if self._last is not None else set()
        if own is not None and "method" not in message:
            after |= {reply for asked, reply in self._replies if asked > own}
        latest = max((self.said[place].at for place in after), default=0.0)
        self.cues.append(Cue(number, frozenset(after), max(0.0, self.said[number].at - latest), own))

    def _own(self, number: int, from_client: bool, message: dict[str, Any]) -> int | None:
        """The request that this message answers or names; a request is remembered."""
        if "method" not in message:
            asked = self._asked.pop((not from_client, key(message.get("id"))), None)
            if asked is not None:
                self.answers[asked] = number
                if from_client:
                    self._replies.append((asked, number))
            return asked
        if self.is_request(number):
            self._asked[from_client, key(message["id"])] = number
            if from_client and (token := progress_token(message)) is not None:
                self._tokens[key(token)] = number
            return None
        if from_client:
            return None
        params = params_of(message)
        if "progressToken" in params:
            return self._tokens.get(key(params["progressToken"]))
        subscription = meta_of(params).get(SUBSCRIPTION)
        return self._asked.get((True, key(subscription))) if subscription is not None else None


def key(identifier: Any) -> str:
    """`1` and `"1"` are two ids, `1` and `1.0` are one."""
    if isinstance(identifier, float) and identifier.is_integer():
        identifier = int(identifier)
    return json.dumps(identifier)


def params_of(message: dict[str, Any]) -> dict[str, Any]:
    params = message.get("params")
    return params if isinstance(params, dict) else {}


def meta_of(params: dict[str, Any]) -> dict[str, Any]:
    meta = params.get("_meta")
    return meta if isinstance(meta, dict) else {}


def progress_token(message: dict[str, Any]) -> Any:
    return meta_of(params_of(message)).get("progressToken")


def name(message: dict[str, Any]) -> str:
    """`tools/call git_log` for people."""
    params = params_of(message)
    target = next((params[part] for part in ("name", "uri") if isinstance(params.get(part), str)), "")
    return f"{message.get('method', 'an answer')} {target}".strip()


def shown(message: dict[str, Any]) -> str:
    """The request with its params, shortened: `tools/call {"name":"git_log"}`."""
    params = {name: value for name, value in params_of(message).items() if name != "_meta"}
    text = json.dumps(params, separators=(",", ":"), ensure_ascii=False) if params else ""
    return f"{message.get('method')} {text if len(text) <= _SHOWN else text[:_SHOWN] + '…'}".strip()
