"""Reading the local log: the last entries that match, and those that come after.

12:00:03.120  -->  request       tools/call git_log                       91 bytes
12:00:03.132  <--  response      tools/call git_log            12.0 ms   1.2 kB
12:00:03.140  <--  error         tools/call git_push           8.1 ms    140 bytes  ERROR
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from km_client import output, tokens
from km_client.agent.events import GAP_METHOD
from km_client.agent.local_log import log_files, read_lines
from km_client.tokens import Prices, Use

FOLLOW_SECONDS = 0.2
_LOST_WORDS = "not recorded"
_NO_METHOD = "(not JSON-RPC)"


class Fields(msgspec.Struct):
    """What is shown of an event; the rest of it is not decoded."""

    timestamp: datetime
    type: str
    direction: str
    session_id: str = ""
    method: str | None = None
    tool: str | None = None
    duration_ms: float | None = None
    is_error: bool = False
    size: int = 0
    message: msgspec.Raw = msgspec.Raw(b"")


class Entry(NamedTuple):
    """One line and what it says."""

    line: bytes
    fields: Fields


class Filter(NamedTuple):
    """What to show. An empty member lets everything pass."""

    method: str | None
    kinds: frozenset[str]
    only_errors: bool
    session: str | None

    def passes(self, fields: Fields) -> bool:
        return (
            (not self.method or fields.method == self.method)
            and (not self.kinds or fields.type in self.kinds)
            and (not self.only_errors or fields.is_error)
            and (not self.session or fields.session_id.startswith(self.session))
        )


class Place(NamedTuple):
    """How far the log was read."""

    path: Path | None
    offset: int


def last_entries(directory: Path, wanted: Filter, count: int) -> tuple[list[Entry], Place]:
    """The last `count` that pass, oldest first, and the place after the last line there is."""
    found: deque[Entry] = deque()
    place = Place(None, 0)
    for path in reversed(log_files(directory)):
        entries: deque[Entry] = deque(maxlen=max(0, count - len(found)))
        offset = 0
        for line, offset in _lines(path, 0):  # noqa: B007 - the last offset is what is left over
            entry = _entry(line)
            if entry and wanted.passes(entry.fields):
                entries.append(entry)
        found.extendleft(reversed(entries))
        place = place if place.path else Place(path, offset)
        if len(found) >= count:
            break
    return list(found), place


def new_entries(
    directory: Path, wanted: Filter, place: Place, wait: Callable[[float], None] = time.sleep
) -> Iterator[Entry]:
    """Those that pass of what comes after `place`, forever. `wait` is called between two looks, with seconds."""
    while True:
        for path in log_files(directory):
            if place.path and path.name < place.path.name:
                continue
            start = place.offset if path == place.path else 0
            place = Place(path, start)
            for line, offset in _lines(path, start):
                place = Place(path, offset)
                entry = _entry(line)
                if entry and wanted.passes(entry.fields):
                    yield entry
        wait(FOLLOW_SECONDS)


def sentence(entry: Entry, prices: Prices | None = None) -> str:
    """One entry for a person; with `prices`, also what it costs a model."""
    fields = entry.fields
    moment = fields.timestamp.astimezone()
    arrow = "-->" if fields.direction == "request" else "<--"
    taken = f"{fields.duration_ms:.1f} ms" if fields.duration_ms is not None else ""
    what = output.printable(" ".join(filter(None, (fields.method or _NO_METHOD, fields.tool))))
    note = _LOST_WORDS if fields.method == GAP_METHOD else "ERROR" if fields.is_error else ""
    line = f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}  {arrow}  {fields.type:12}  {what:40}"
    use = token_use(entry) if prices else None
    cost = f"{prices.words(use) if use else '':32}  " if prices else ""
    return f"{line}  {taken:>10}  {output.size(fields.size):>12}  {cost}{note}".rstrip()


def token_use(entry: Entry) -> Use | None:
    """What the message of `entry` costs a model; `None` of messages that no model sees."""
    return tokens.of_message(entry.fields.method, bytes(entry.fields.message))


def _lines(path: Path, offset: int) -> Iterator[tuple[bytes, int]]:
    """The lines of a file from `offset` on; none of one that the agent has given up meanwhile, as the oldest are."""
    try:
        yield from read_lines(path, offset)
    except FileNotFoundError:
        return


def _entry(line: bytes) -> Entry | None:
    try:
        return Entry(line, msgspec.json.decode(line, type=Fields))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # half a line of a machine that lost power
