"""One `monitor` run on disk: its directory, its status file, its two journals.

    journal/019aa3c2-…/           0700, named by the run (a UUIDv7, so names sort by age)
      session.json                0600, written first
      status                      see `status`; locked while the relay lives
      request-00000001.kmj …      see `journal`
      response-00000001.kmj …

The directory gets its name only once it is whole and locked, so nobody ever sees a session without its description or
takes a living one for a dead one. If it cannot be made, the stream goes on, the loss is counted, and making it is tried
again at most once a second and direction.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from km_client import paths
from km_client.capture import lock, status
from km_client.capture.journal import (
    REQUEST,
    RESPONSE,
    SEGMENT_BYTES,
    Direction,
    DirectionJournal,
    segment_header,
    segment_name,
)

SESSION_FILE = "session.json"
STATUS_FILE = "status"
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)


class Recording:
    """What the relay records into. `on_failure(error)` is called the first time that recording fails, `on_rotation()`
    when a segment is full; both by the relay between two chunks, so they must return at once.
    """

    def __init__(
        self,
        directory: Path,
        session: Mapping[str, object],
        *,
        on_failure: Callable[[OSError], None],
        on_rotation: Callable[[], None],
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self.directory = directory
        self._session = session
        self._on_failure = on_failure
        self._on_rotation = on_rotation
        self._status_fd = -1
        self._making = threading.Lock()  # taken only while the directory is not there yet
        self._has_failed = False
        self.request = DirectionJournal(REQUEST, self._open_segment, self._changed, segment_bytes)
        self.response = DirectionJournal(RESPONSE, self._open_segment, self._changed, segment_bytes)

    def start(self) -> None:
        """Make the directory now, rather than at the first message, so that a person hears now if it cannot be."""
        try:
            self._make()
        except OSError as error:
            self._failed(error)

    def finish(self, *, exit_code: int | None, signal: int | None, unix_ns: int) -> None:
        """Write the final counts and how the server ended."""
        if self._status_fd < 0:
            return
        with contextlib.suppress(OSError):  # the reader then counts for itself, and takes the relay for killed
            status.write_direction(self._status_fd, self.request)
            status.write_direction(self._status_fd, self.response)
            status.write_end(self._status_fd, exit_code, signal, unix_ns)

    def close(self) -> None:
        """Let go of every file, and with `status` of the lock: the run is over, though its process lives on."""
        self.request.close()
        self.response.close()
        if self._status_fd >= 0:
            os.close(self._status_fd)
            self._status_fd = -1

    def _make(self) -> None:
        with self._making:
            if self._status_fd < 0:
                self._status_fd = _make(self.directory, self._session)

    def _open_segment(self, direction: Direction, number: int) -> int:
        self._make()
        path = self.directory / segment_name(direction, number)
        fd = os.open(path, _NEW_FILE, 0o600)
        try:
            os.write(fd, segment_header(direction))
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        if number > 1:
            self._on_rotation()
        return fd

    def _changed(self, journal: DirectionJournal) -> None:
        if self._status_fd >= 0:
            with contextlib.suppress(OSError):  # the counts stay in memory and are written with the next change
                status.write_direction(self._status_fd, journal)
        if journal.failure:
            self._failed(journal.failure)

    def _failed(self, error: OSError) -> None:
        if not self._has_failed:
            self._has_failed = True
            self._on_failure(error)


def _make(directory: Path, session: Mapping[str, object]) -> int:
    """Make a session's directory under a hidden name, lock its status, then give it its name. Returns the lock."""
    hidden = directory.with_name(f".{directory.name}.new")
    fd = -1
    try:
        paths.make_private(hidden)
        _write_private(hidden / SESSION_FILE, json.dumps(session, indent=1).encode())
        fd = os.open(hidden / STATUS_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        status.preallocate(fd)
        lock.hold(fd)
        hidden.rename(directory)
    except OSError:
        _unmake(hidden, fd)
        raise
    return fd


def _write_private(path: Path, content: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)


def _unmake(hidden: Path, fd: int) -> None:
    if fd >= 0:
        os.close(fd)
    with contextlib.suppress(OSError):  # a disk that refuses even this keeps an empty hidden directory
        for name in (SESSION_FILE, STATUS_FILE):
            (hidden / name).unlink(missing_ok=True)
        hidden.rmdir()
