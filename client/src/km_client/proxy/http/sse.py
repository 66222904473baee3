r"""Server-sent events, sans-I/O: bytes as they come to events, however large; only the first bytes of each are kept.

    decoder = Decoder(room, keep_bytes=1 << 24)
    decoder.feed(b'id: 7\nevent: message\ndata: {"jsonrpc"…}\n\n')   ->  [Event(b"message", data=…, size=…, id=b"7")]

As the HTML standard has it (§9.2.6): lines end with CR, LF or CRLF; an event ends at an empty line and is nothing if it
has no `data`; several `data` lines are joined by LF; one that the end of the stream cuts off is no event.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from km_client.proxy.http.copies import KEEP_BYTES, Room

_LINE_END = re.compile(rb"\r\n?|\n")
_NAME_BYTES = 64  # of each line, that are kept in any case: what it is must be known


class Event(NamedTuple):
    """`size` is the length of the whole data; more than `len(data)` where the end was not kept.

    `id` is `None` where the event brought none; `retry_ms` likewise. `has_data` is false of an event without `data`,
    which the standard drops but whose `id` counts.
    """

    name: bytes
    data: bytes
    size: int
    id: bytes | None
    retry_ms: int | None
    has_data: bool


class Decoder:
    """One stream. `drop()` when it is over gives back the room that an unfinished event took."""

    def __init__(self, room: Room, keep_bytes: int = KEEP_BYTES) -> None:
        self._room = room
        self._keep_bytes = keep_bytes
        self._taken = 0
        self._line: list[bytes] = []  # what is kept of the unfinished line
        self._line_size = 0
        self._after_cr = False
        self._is_first = True
        self._name = b""
        self._data: list[bytes] = []
        self._size = 0
        self._has_data = False
        self._id: bytes | None = None
        self._retry_ms: int | None = None

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes."""
        if self._after_cr and data[:1] == b"\n":
            data = data[1:]
            self._after_cr = False
        if data:
            self._after_cr = data[-1:] == b"\r"
        events: list[Event] = []
        *lines, rest = _LINE_END.split(data) if b"\r" in data else data.split(b"\n")
        for line in lines:
            self._add(line)
            self._end_line(events)
        self._add(rest)
        return events

    @property
    def unfinished_bytes(self) -> int:
        """How much data an event has that is not at its end."""
        return self._size + self._line_size

    def drop(self) -> None:
        self._room.give_back(self._taken)
        self._taken = 0

    def _add(self, part: bytes) -> None:
        free = max(0, _NAME_BYTES - self._line_size)
        self._line_size += len(part)
        room = free + self._take(len(part) - free)
        if part and room:
            self._line.append(part[:room])

    def _take(self, wanted: int) -> int:
        room = self._room.take(max(0, min(wanted, self._keep_bytes - self._taken)))
        self._taken += room
        return room

    def _end_line(self, events: list[Event]) -> None:
        line, size = b"".join(self._line), self._line_size
        self._line, self._line_size = [], 0
        if self._is_first:
            self._is_first = False
            line = line.removeprefix(b"\xef\xbb\xbf")
        if size:
            self._field(line, size)
            return
        if self._has_data or self._id is not None or self._retry_ms is not None:
            data = b"\n".join(self._data)[: self._keep_bytes]
            events.append(Event(self._name, data, self._size, self._id, self._retry_ms, self._has_data))
        self._reset()

    def _field(self, line: bytes, size: int) -> None:
        name, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if name == b"data":
            self._size += size - len(line) + len(value) + (1 if self._has_data else 0)
            self._keep(value)
            self._has_data = True
        elif name == b"event":
            self._name = value
        elif name == b"id" and b"\0" not in value:
            self._id = value
        elif name == b"retry" and value.isdigit() and len(value) < 10:
            self._retry_ms = int(value)

    def _keep(self, value: bytes) -> None:
        """What of `value` there is room for: all but its first bytes has taken room as a line already."""
        paid = max(0, len(value) - _NAME_BYTES)
        room = paid + self._take(len(value) - paid + 1)
        if room:
            self._data.append(value[:room])

    def _reset(self) -> None:
        self.drop()
        self._name, self._data, self._size, self._has_data = b"", [], 0, False
        self._id = self._retry_ms = None
