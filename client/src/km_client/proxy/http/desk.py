"""Where the bridge meets its client: what the server says goes to stdout and into the recording, and so do failures.

    await desk.deliver(data, exchange)               a message of the server: a line on stdout; recorded byte for byte
    await desk.fail(message, exchange, Failure(…))   an error in answer to each request in `message`; a fact recorded

Line feeds in a message become blanks on stdout, where they would end it; in JSON they can stand only between tokens.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from km_client.capture import exchanges
from km_client.capture.exchanges import FAILURE, MESSAGE, NOTE, Entry
from km_client.capture.journal import REQUEST, RESPONSE
from km_client.proxy.http import json_rpc
from km_client.proxy.http.copies import KEEP_BYTES
from km_client.proxy.http.json_rpc import INTERNAL_ERROR, Message, Mirrored
from km_client.proxy.http.runs import Run
from km_client.proxy.http.stdio import Output
from km_client.proxy.session import Say

if TYPE_CHECKING:
    from km_client.proxy.holding import Answered, Judge

LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")


@dataclass(frozen=True)
class Failure:
    """Why a message got no answer: `text` for the client's person, `facts` for the recording."""

    text: str
    code: int = INTERNAL_ERROR
    facts: dict[str, object] = field(default_factory=dict)


class Desk:
    """`version` and `mirrored` are what passing messages taught: the negotiated revision, the parameters of tools that
    are sent as headers. `hide` takes out of a text what must not be told of the server's address.
    """

    def __init__(
        self, run: Run, output: Output, say: Say, hide: Callable[[str], str], judge: Judge | None = None
    ) -> None:
        self.version = ""
        self.mirrored: Mirrored = {}
        self.exchanges = count(1)
        self._run = run
        self._output = output
        self.say = say
        self._hide = hide
        self._judge = judge
        self._asked: dict[str, str] = {}  # id → method, of those whose answer teaches something
        self._open: set[str] = set()

    def record_request(self, message: Message, exchange: int) -> None:
        self._write(REQUEST, exchange, message.content, len(message.content))
        self._open |= set(message.ids)
        if message.method in ("initialize", "tools/list"):
            self._asked |= dict.fromkeys(message.ids, message.method)

    async def judged(self, message: Message) -> Message | None:
        """What of a message of the client's goes on; `None` for nothing. A call that is held is answered here."""
        asked = self._judge.asked(message.content, time.time_ns()) if self._judge else None
        if asked is None or not asked.refusals:
            return message
        exchange = next(self.exchanges)
        self._write(REQUEST, exchange, message.content, len(message.content))
        for error, note in asked.refusals:
            self._write(RESPONSE, exchange, note, len(note))
            if error:
                self._write(RESPONSE, exchange, error, len(error))
                await self._output.write(error)
        return json_rpc.parse(asked.forward)

    def is_open(self, identifier: str) -> bool:
        """Whether a request of the client still has no answer."""
        return identifier in self._open

    async def deliver(self, data: bytes, exchange: int, asked: Message | None = None) -> Message | None:
        """What the server said. `None` if it is no JSON-RPC: then only the recording and the person hear of it."""
        message = json_rpc.parse(data)
        answered = await _judged(self._judge, data) if self._judge else None
        if answered and answered.note:
            for note in answered.note.split(b"\n"):
                self._write(RESPONSE, exchange, note, len(note))
        self._write(RESPONSE, exchange, data[:KEEP_BYTES], len(data))
        if message is None:
            self.say("the server sent something that is not JSON-RPC; it is recorded, but not passed on")
            return None
        content = json_rpc.answering(message, asked.ids[0]) if asked and len(asked.ids) == 1 else data
        content = answered.content if answered and answered.note else content
        answers = asked.ids if content is not data and asked else message.answers
        for identifier in answers:
            self._open.discard(identifier)
            self._learn(self._asked.pop(identifier, ""), message)
        await self._output.write(content.translate(LINE_ENDS) if b"\n" in content or b"\r" in content else content)
        return message

    async def fail(self, message: Message | None, exchange: int, failure: Failure) -> None:
        """Nothing will answer `message`; without one, it is a stream of the server's that failed."""
        self._fact(FAILURE, exchange, failure.facts | {"problem": failure.text})
        unanswered = [each for each in message.ids if each in self._open] if message else []
        if not unanswered:
            self.say(failure.text)
        for identifier in unanswered:
            self._open.discard(identifier)
            self._asked.pop(identifier, None)
            await self._output.write(json_rpc.error(identifier, failure.code, f"km-client: {failure.text}"))

    def cancel(self, message: Message, exchange: int) -> None:
        """The client takes no answer to `message` any more."""
        self._open -= set(message.ids)
        self._fact(NOTE, exchange, {"problem": "the client cancelled the request: its stream was closed"})

    def _learn(self, method: str, message: Message) -> None:
        if method == "initialize":
            self.version = json_rpc.revision(message.result.get("protocolVersion")) or self.version
        elif method == "tools/list":
            self.mirrored |= json_rpc.mirrored_parameters(message.result)

    def _fact(self, kind: str, exchange: int, facts: dict[str, object]) -> None:
        told = {name: self._hide(fact) if isinstance(fact, str) else fact for name, fact in facts.items()}
        content = json.dumps({"jsonrpc": "2.0", "method": exchanges.METHOD, "params": told}).encode()
        self._run.write(RESPONSE, Entry(kind, 0, exchange, len(content), content))

    def _write(self, direction: str, exchange: int, content: bytes, size: int) -> None:
        self._run.write(direction, Entry(MESSAGE, 0, exchange, size, content[:KEEP_BYTES]))


async def _judged(judge: Judge, data: bytes) -> Answered:
    from km_client.proxy.http.judging import answered  # noqa: PLC0415 - only where it is wanted

    return await answered(judge, data)
