"""Tools whose definition changed are held until a person approves them: whole messages, judged as they pass.

    judge.asked(b'{"id":7,"method":"tools/call","params":{"name":"read"}}', at_ns)
      -> Asked(forward=b"", refusals=[Refusal(error, note)])     the tool is held: an error that names it and the way on
    judge.answered(b'{"id":2,"result":{"tools":[…]}}', at_ns)
      -> Answered(b'{"id":2,"result":{"tools":[…]}}', note)      changed tools as they are pinned, new ones left out

Only with `tools.on_change = hold`. Whatever needs no change is given back as the very bytes it came as; in a list, only
the tools that are held are touched. What was withheld is told in a note for the recording, where it stands before the
answer as the server gave it. Without pins to judge by (their file cannot be read, or not be written the first time)
lists and calls are answered with an error that says which file it is, and how to put it right.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from km_client.errors import ClientError
from km_client.pinning import definitions, spans
from km_client.pinning.definitions import Listing
from km_client.pinning.pins import Identity, Kind, Walk
from km_client.proxy.held_list import given, key_of, may_list, note, note_of_list
from km_client.proxy.held_pins import HeldPins

MAX_LISTS = 1_000  # in flight
ERROR = -32010  # of the range that JSON-RPC leaves to implementations; no revision of MCP uses it
WHY: dict[Kind, str] = {
    "new": "it was not there when the tools of this server were approved",
    "changed": "its definition changed since it was approved",
    "removed": "the server has it no more",
}


class Refusal(NamedTuple):
    """An answer of ours in place of the server's, and what is recorded about it."""

    error: bytes
    note: bytes


class Asked(NamedTuple):
    """What goes on to the server; blank for nothing."""

    forward: bytes
    refusals: list[Refusal]


class Answered(NamedTuple):
    """What the client is given. `note` is blank where that is what the server said."""

    content: bytes
    note: bytes = b""


class Judge:
    """One session. `say` tells its person a line. One that `is_wary` takes every answer with tools in it for a list,
    for where the answers of one request may come on another's stream, nobody knows which lists are in flight.
    """

    def __init__(self, identity: Identity, say: Callable[[str], None], walk: Walk | None = None) -> None:
        self._identity = identity
        self._say = say
        self._walk = walk or Walk()
        self.is_wary = False
        self._lists: dict[str, Any] = {}  # in flight: id as text → id
        self._pins = HeldPins(identity, self._complain)
        self._last_ns = 0
        self._said: set[str] = set()

    @property
    def is_waiting(self) -> bool:
        """Whether an answer to `tools/list` is still to come: nothing else needs to be looked at."""
        return bool(self._lists)

    def asked(self, message: bytes, at_ns: int) -> Asked:
        """A message of the client's."""
        if b"tools" not in message:
            return Asked(message, [])
        try:
            text = _text(message)
            value = json.loads(text)
        except ValueError:
            return Asked(message, [])  # no JSON-RPC: no server takes it for a call
        except RecursionError:
            return Asked(b"", [self._unreadable_call()])
        if not isinstance(value, list):
            refusal = self._asked_one(value, at_ns)
            return Asked(message, []) if refusal is None else Asked(b"", [refusal])
        judged = [self._asked_one(each, at_ns) for each in value]
        refusals = [refusal for refusal in judged if refusal]
        if not refusals:
            return Asked(message, [])
        parts = spans.elements(text, spans.whole(text).start)
        kept = [span.of(text) for span, refusal in zip(parts, judged, strict=True) if refusal is None]
        return Asked(_bytes(f"[{','.join(kept)}]") if kept else b"", refusals)

    def answered(self, message: bytes, at_ns: int) -> Answered:
        """A message of the server's."""
        if not self._lists and not may_list(message):
            return Answered(message)
        try:
            text = _text(message)
            whole = spans.whole(text)
            if not self._lists and not self.is_wary:
                return Answered(message)  # one message, and no list was asked for
            if text[whole.start] == "[":
                return self._batch(message, text, whole, at_ns)
            return self._answered_one(message, text, whole.start, at_ns)
        except ValueError:
            return self._in_pieces(message)
        except RecursionError:
            is_other = not self._lists and not self.is_wary
            return Answered(message) if is_other else self._unreadable("it is nested too deeply")

    def _asked_one(self, value: object, at_ns: int) -> Refusal | None:
        if not isinstance(value, dict):
            return None
        said = value.get("params")
        params = said if isinstance(said, dict) else {}
        if value.get("method") == "tools/list" and value.get("id") is not None:
            self._lists[key_of(value["id"])] = value["id"]
            if len(self._lists) > MAX_LISTS:  # a list that comes all the same is judged, too: see `_unasked`
                self._lists.pop(next(iter(self._lists)))
            self._walk.begun_ns = at_ns if params.get("cursor") is None else None
        if value.get("method") != "tools/call":
            return None
        name = params.get("name")
        try:
            kind = self._pins.fresh().withheld(name) if isinstance(name, str) else None
        except ClientError as error:
            return self._refusal(value.get("id"), f"{error.message}; {error.hint}", {"tool": name})
        if kind is None:
            return None
        why = f"the tool `{name}` of `{self._identity.name}` is held: {WHY[kind]}. {self._way_on(str(name))}"
        return self._refusal(value.get("id"), why, {"tool": name, "change": kind})

    def _way_on(self, name: str) -> str:
        server, tool = shlex.quote(self._identity.name), shlex.quote(name)  # one of these is the server's word
        approve = f"km-client tools approve {server} {tool}"
        return f"`km-client tools diff {server}` shows the change, `{approve}` lets it through"

    def _refusal(self, identifier: object, text: str, facts: dict[str, object]) -> Refusal:
        if identifier is None:  # nobody waits for an answer
            return Refusal(b"", note(None, {**facts, "given": "nothing"}))
        error = {"code": ERROR, "message": f"km-client: {text}", "data": {"server": self._identity.name, **facts}}
        answer = {"jsonrpc": "2.0", "id": identifier, "error": error}
        return Refusal(json.dumps(answer).encode(), note(identifier, {**facts, "given": "an error"}))

    def _batch(self, message: bytes, text: str, whole: spans.Span, at_ns: int) -> Answered:
        parts = [span.of(text) for span in spans.elements(text, whole.start)]
        answers = [self._answered_one(_bytes(part), part, 0, at_ns) for part in parts]
        notes = [answer.note for answer in answers if answer.note]
        if not notes:
            return Answered(message)
        kept = [answer.content for answer in answers if answer.content]
        return Answered(b"[" + b",".join(kept) + b"]" if kept else b"", b"\n".join(notes))

    def _answered_one(self, message: bytes, text: str, at: int, at_ns: int) -> Answered:
        if text[at] != "{":
            return Answered(message)
        members, is_ambiguous = spans.members(text, at, definitions.ANSWER)
        identifier = json.loads(members["id"].of(text)) if "id" in members else None
        key = key_of(identifier)
        if key not in self._lists:
            return self._unasked(message, text, at, identifier, at_ns)
        if "method" in members and "result" not in members and not is_ambiguous:
            return Answered(message)  # a request of the server's, which has ids of its own
        identifier = self._lists.pop(key)
        listing = None if is_ambiguous else definitions.read(text, at)
        if listing:
            return self._listed(message, text, listing, identifier, at_ns)
        if "error" in members and "result" not in members and not is_ambiguous:
            return Answered(message)
        refusal = self._refusal(identifier, "the server's answer is no list of tools", {})
        return Answered(refusal.error, refusal.note)

    def _unasked(self, message: bytes, text: str, at: int, identifier: object, at_ns: int) -> Answered:
        """What answers no list that was asked for here: some client may take it for one all the same."""
        members, is_ambiguous = spans.members(text, at, definitions.ANSWER)
        if "result" not in members and not is_ambiguous:
            return Answered(message)
        listing = None if is_ambiguous else definitions.read(text, at)
        if listing:
            return self._listed(message, text, listing, identifier, at_ns)
        if not is_ambiguous and not definitions.names_tools(text, members["result"]):
            return Answered(message)
        refusal = self._refusal(identifier, "the server's answer could be read as a list of tools", {})
        return Answered(refusal.error, refusal.note)

    def _listed(self, message: bytes, text: str, listing: Listing, identifier: object, at_ns: int) -> Answered:
        moment = self._last_ns = max(at_ns, self._last_ns + 1)
        try:
            if listing.is_ambiguous:
                hint = "whoever makes the server has to mend it"
                raise ClientError(
                    "ambiguous", "the list can be read in two ways: a name stands twice in one object", hint
                )
            pins = self._pins.update(lambda pins: pins.follow(listing, self._walk, at_ns=moment, now_ns=time.time_ns()))
            self._walk.begun_ns = None
        except ClientError as error:
            self._complain(error)
            refusal = self._refusal(identifier, f"{error.message}; {error.hint}" if error.hint else error.message, {})
            return Answered(refusal.error, refusal.note)
        shown, held = given(listing, text, pins)
        return Answered(_bytes(shown), note_of_list(identifier, held)) if held else Answered(message)

    def _unreadable(self, why: str) -> Answered:
        """An answer that cannot be judged: every list in flight is answered for the server, as nobody knows which."""
        waiting = list(self._lists.values()) or [None]
        refusals = [self._refusal(each, f"the list of tools cannot be read: {why}", {}) for each in waiting]
        self._lists.clear()
        return Answered(b"\n".join(each.error for each in refusals), b"\n".join(each.note for each in refusals))

    def _in_pieces(self, message: bytes) -> Answered:
        """No JSON by itself; but some clients join lines until there is one. Over HTTP nobody does."""
        if self.is_wary or not may_list(message):
            return Answered(message)
        facts: dict[str, object] = {"problem": "a line that names tools, and is no whole message", "given": "nothing"}
        return Answered(b"", note(None, facts))

    def _unreadable_call(self) -> Refusal:
        error = {"code": ERROR, "message": "km-client: this message is nested too deeply to see which tool it calls"}
        answer = {"jsonrpc": "2.0", "id": None, "error": error}
        return Refusal(json.dumps(answer).encode(), note(None, {"given": "an error"}))

    def _complain(self, error: ClientError) -> None:
        """Once for each reason."""
        if error.message not in self._said:
            self._said.add(error.message)
            self._say(f"{error.message}; {error.hint}" if error.hint else error.message)


def _text(message: bytes) -> str:
    """Bytes that are no UTF-8 stay what they are when it is encoded again; a reader may well take them for text."""
    return message.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
