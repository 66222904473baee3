"""The journals as the agent sees them: which sessions there are, their records in order, what may be deleted.

    for spool in list_sessions(journal_dir()):
        over = spool.is_over()                                     # ask first: then what is read below is all there is
        for record in spool.records(marks, over=over, now_ns=time.monotonic_ns()):
            …                                                      # remember Mark(record.segment, record.end_offset)
        spool.acknowledge("request", mark)                         # deletes the segments before `mark`
        if over and everything_is_acknowledged: spool.remove()

Reading changes nothing on disk, may be repeated from any mark, and gives the same records each time, except for those
that the cap has turned into gaps since. Only one process (the agent) acknowledges.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import shutil
from collections.abc import Iterator, Mapping
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from km_client.capture import lock
from km_client.capture.journal import (
    DIRECTIONS,
    HEADER_BYTES,
    RECORD_HEADER_BYTES,
    Direction,
    JournalError,
    read_segment,
    segment_number,
)
from km_client.capture.losses import Loss
from km_client.capture.recording import SESSION_FILE, STATUS_FILE
from km_client.capture.status import Status, read_status

VERSIONS = (1, 2)  # 2 is what runs of HTTP have, so that an older agent says that a newer client made them
SETTLE_NS = 50_000_000  # a chunk is appended after it was forwarded: by then its answer may already stand recorded


class Mark(NamedTuple):
    """A place in one direction: everything before it is done with."""

    segment: int
    offset: int


START = Mark(1, HEADER_BYTES)


class Session(NamedTuple):
    """What `session.json` says: who runs what for whom. `api_url` and `api_key` only if given to this run.

    `plugins` are the paths of `--plugin`. `transport` is `stdio` or `http`, `url` what the latter's server is known
    as, without its secrets. A relay from before a field was there does not write it.
    """

    session_id: str
    server_name: str
    command: tuple[str, ...]
    cwd: str
    pid: int
    started_at_ns: int
    client_version: str
    local_only: bool
    api_url: str | None
    api_key: str | None
    plugins: tuple[str, ...] = ()
    debug: bool = False
    transport: str = "stdio"
    url: str = ""

    @property
    def has_whole_messages(self) -> bool:
        """Whether each record is a message (see `exchanges`), rather than a piece of a stream of lines."""
        return self.transport != "stdio"


class SpoolRecord(NamedTuple):
    """One record and its place. If `lost` is not empty it is a gap: nothing before it continues after it."""

    direction: Direction
    segment: int
    offset: int
    end_offset: int
    monotonic_ns: int
    unix_ns: int
    payload: bytes
    lost: tuple[Loss, ...] = ()


class SessionSpool:
    """One session's directory. `name` is unique among runs; `session().session_id` is what the user may have chosen."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name

    def session(self) -> Session:
        """Raises `JournalError` if the description is not one of this version, `OSError` if it cannot be read."""
        text = (self.path / SESSION_FILE).read_bytes()
        try:
            fields = json.loads(text)
            if fields.pop("version") not in VERSIONS:
                raise JournalError(f"{self.path} was made by a newer km-client")
            lists = {name: tuple(fields[name]) for name in ("command", "plugins") if name in fields}
            return Session(**{**fields, **lists})
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise JournalError(f"{self.path / SESSION_FILE} does not describe a session: {error}") from None

    def status(self) -> Status:
        return read_status(self.path / STATUS_FILE)

    def is_over(self) -> bool:
        """Whether the relay is gone, in whatever way: nothing will be appended any more."""
        return not lock.is_held(self.path / STATUS_FILE)

    def records(self, marks: Mapping[Direction, Mark], *, over: bool, now_ns: int) -> Iterator[SpoolRecord]:
        """Records of both directions from `marks` on (`START` where one is missing), by the moment they were read.

        While the session runs, those younger than `SETTLE_NS` wait for the next call, so that a request is seen before
        its response. A chunk that a slow peer kept the relay from forwarding may still appear later than its moment.
        """
        directions = [self._direction(name, marks.get(name, START), over) for name in DIRECTIONS]
        for record in heapq.merge(*directions, key=attrgetter("monotonic_ns")):
            if not over and record.monotonic_ns > now_ns - SETTLE_NS:
                return
            yield record

    def acknowledge(self, direction: Direction, mark: Mark) -> None:
        """Everything before `mark` is safe elsewhere: delete the segments that hold nothing else."""
        for segment in self.segments(direction):
            if segment_number(segment) < mark.segment:
                segment.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete the session. The caller knows that it is over and everything in it acknowledged."""
        hidden = self.path.with_name(f".{self.name}.done")  # so that nobody meets half a session
        self.path.rename(hidden)
        shutil.rmtree(hidden)

    def segments(self, direction: Direction) -> list[Path]:
        """The segment files of one direction, oldest first."""
        return sorted(self.path.glob(f"{direction}-*.kmj"), key=segment_number)

    def _direction(self, direction: Direction, mark: Mark, over: bool) -> Iterator[SpoolRecord]:
        segments = [path for path in self.segments(direction) if segment_number(path) >= mark.segment]
        for path in segments:
            offset = mark.offset if segment_number(path) == mark.segment else HEADER_BYTES
            with contextlib.suppress(FileNotFoundError):  # given up meanwhile: the next segment tells of it
                yield from _segment(path, direction, offset, finished=over or path is not segments[-1])


def list_sessions(directory: Path) -> list[SessionSpool]:
    """Every session in `journal_dir()`, oldest first; none if there is no such directory yet."""
    if not directory.is_dir():
        return []
    return [SessionSpool(path) for path in sorted(directory.iterdir()) if path.is_dir() and path.name[0] != "."]


def _segment(path: Path, direction: Direction, offset: int, *, finished: bool) -> Iterator[SpoolRecord]:
    number = segment_number(path)
    last = None
    for record in read_segment(path, offset):
        last = SpoolRecord(direction, number, *record)
        yield last
    if finished:
        start = last or SpoolRecord(direction, number, offset, offset, 0, path.stat().st_mtime_ns, b"")
        yield from _torn_tail(path, start)


def _torn_tail(path: Path, last: SpoolRecord) -> Iterator[SpoolRecord]:
    """A gap for the bytes after the last whole record of a segment to which nothing will be added."""
    size = path.stat().st_size
    if size > last.end_offset:
        lost = Loss("torn", 1, max(0, size - last.end_offset - RECORD_HEADER_BYTES))
        yield last._replace(offset=last.end_offset, end_offset=size, payload=b"", lost=(lost,))
