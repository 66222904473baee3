"""One server's pins, and what differs from them now. Pure: moments come in, nothing is read or written.

    walk = Walk()                                  one for each run
    pins.begin(walk, at_ns=…, now_ns=…)            a `tools/list` without a cursor
    pins.see(listing, walk, at_ns=…, now_ns=…)     its answer, or a page of it
    pins.changes()     ->  [Change("git_push", "changed", before="9f86d0…", now="60303a…", at_ns=…)]
    pins.approve(["git_push"])

The first list is believed: until it is complete, or begun anew, every tool on it is pinned as it is seen. From then on
a tool that is not pinned is `new`, one with another definition `changed`, one that a complete list left out `removed`.
A tool that goes back to its pinned definition is no change. What is read late, of a recording older than what was seen
since, changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from km_client.pinning.definitions import Definition, Listing

MAX_TOOLS = 10_000  # of one server, pinned or found: the service's limit
MAX_TEXT_CHARACTERS = 8 * 1024 * 1024  # of one server's definitions: of further ones only the digest is kept
Kind = Literal["new", "changed", "removed"]
How = Literal["first seen", "approved"]


@dataclass(frozen=True, slots=True)
class Identity:
    """A server is who it is called and how it is started: by a command with its arguments, or at a URL."""

    name: str
    command: tuple[str, ...] = ()
    url: str = ""


def identity_of(session: Mapping[str, object]) -> Identity:
    """Of a run, as `session.json` describes it."""
    command = session.get("command")
    words = tuple(map(str, command)) if isinstance(command, list | tuple) else ()
    return Identity(str(session["server_name"]), words, str(session.get("url") or ""))


@dataclass(frozen=True, slots=True)
class Pin:
    """A definition. `text` is blank where it is too long to be kept; `at_ns` is Unix time."""

    digest: str
    text: str
    at_ns: int
    how: How | Literal[""] = ""


class Change(NamedTuple):
    """`before` and `now` are digests, blank where there is no definition."""

    tool: str
    kind: Kind
    before: str
    now: str
    at_ns: int


class Walk:
    """The names on the pages of the list that one run reads; `None` while nobody has seen that list begin. `begun_ns`
    is when one was asked for whose first page is still to come.
    """

    def __init__(self) -> None:
        self.names: set[str] | None = None
        self.begun_ns: int | None = None


@dataclass(slots=True)
class Pins:
    """`found` are definitions that are not the pinned ones, `removed` says since when. `seen_ns` is the moment
    (Unix time) of the answer taken last. `left_out` counts tools over the limit, which are neither pinned nor found.
    """

    identity: Identity
    seen_ns: int = 0
    is_settling: bool = True
    pinned: dict[str, Pin] = field(default_factory=dict)
    found: dict[str, Pin] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)
    left_out: int = 0

    def begin(self, walk: Walk, *, at_ns: int, now_ns: int) -> None:
        """A list begins. `now_ns` unmasks a moment seen before as one of a clock that was ahead."""
        walk.names = set()
        if not at_ns <= self.seen_ns <= now_ns:
            self.is_settling = self.is_settling and not self.pinned

    def see(self, listing: Listing, walk: Walk, *, at_ns: int, now_ns: int) -> None:
        """A page of the list, or all of it. Each has a moment of its own: one taken already changes nothing."""
        definitions = listing.definitions
        if walk.names is not None:
            walk.names |= {definition.name for definition in definitions}
        if not at_ns <= self.seen_ns <= now_ns:
            self.seen_ns, self.left_out = at_ns, 0
            self._take(definitions, at_ns)
            if listing.is_last:
                self._end(walk.names, at_ns)
        if listing.is_last:
            walk.names = None

    def follow(self, listing: Listing, walk: Walk, *, at_ns: int, now_ns: int) -> None:
        """`begin`, where this page is the first of the list that was asked for, and `see`."""
        if walk.begun_ns is not None:
            self.begin(walk, at_ns=walk.begun_ns, now_ns=now_ns)
        self.see(listing, walk, at_ns=at_ns, now_ns=now_ns)

    def changes(self) -> list[Change]:
        """What waits for an approval, by name."""
        found = [
            Change(name, "changed" if name in self.pinned else "new", self._digest(name), pin.digest, pin.at_ns)
            for name, pin in self.found.items()
        ]
        gone = [Change(name, "removed", self._digest(name), "", at_ns) for name, at_ns in self.removed.items()]
        return sorted(found + gone)

    def approve(self, names: Iterable[str], *, at_ns: int) -> None:
        """Take what was found for good. A name of which nothing waits is left as it is."""
        for name in names:
            pin = self.found.pop(name, None)
            if pin:
                self.pinned[name] = Pin(pin.digest, pin.text, at_ns, "approved")
            elif self.removed.pop(name, None) is not None:
                self.pinned.pop(name, None)

    def withheld(self, name: str) -> Kind | None:
        """Why a call of this tool is not approved; `None` if it is, or while nobody can say."""
        if name in self.found:
            return "changed" if name in self.pinned else "new"
        return "new" if name not in self.pinned and self.pinned and not self.is_settling else None

    def _take(self, definitions: Iterable[Definition], at_ns: int) -> None:
        room = MAX_TEXT_CHARACTERS - sum(len(pin.text) for table in (self.pinned, self.found) for pin in table.values())
        for name, digest, text in definitions:
            known = self.pinned.get(name)
            self.removed.pop(name, None)
            if known and known.digest == digest:
                self.found.pop(name, None)
                continue
            is_first = self.is_settling and known is None
            table = self.pinned if is_first else self.found
            if name not in table and len(table) >= MAX_TOOLS:
                self.left_out += 1
            elif name not in table or table[name].digest != digest:
                kept = text if len(text) <= room else ""
                room -= len(kept)
                table[name] = Pin(digest, kept, at_ns, "first seen" if is_first else "")

    def _end(self, names: set[str] | None, at_ns: int) -> None:
        """The list is complete; `names` are all on it, if its beginning was seen."""
        self.is_settling = False
        if names is None:
            return
        for name in self.pinned.keys() - names:
            self.found.pop(name, None)
            self.removed.setdefault(name, at_ns)
        for name in self.found.keys() - names:
            del self.found[name]

    def _digest(self, name: str) -> str:
        return self.pinned[name].digest if name in self.pinned else ""
