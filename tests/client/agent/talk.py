"""A conversation told message by message, for what is related to what."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

from km_client.agent.correlation import Conversation, Exchange, Relation
from km_client.agent.understanding import understand
from km_protocol.envelope import Direction

MILLISECOND = 1_000_000


class Talk:
    """A conversation in which each message comes a millisecond after the last; events are called e0, e1, …"""

    def __init__(self) -> None:
        self.conversation = Conversation()
        self.exchange = Exchange()
        self._numbers = count()

    def client(self, **message: Any) -> Relation:
        return self._say("request", message)

    def server(self, **message: Any) -> Relation:
        return self._say("response", message)

    def _say(self, direction: Direction, members: dict[str, Any]) -> Relation:
        (message,) = understand(json.dumps(members).encode())
        number = next(self._numbers)
        return self.conversation.relate(message, direction, f"e{number}", number * MILLISECOND, self.exchange)


def call(number: int, tool: str, **params: Any) -> dict[str, Any]:
    return {"id": number, "method": "tools/call", "params": {"name": tool, **params}}
