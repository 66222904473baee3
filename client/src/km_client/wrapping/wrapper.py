"""One client's file from end to end: read, planned, backed up, replaced; again if another program wrote it meanwhile.

wrap(file, "/…/km-client") → Result(file, servers=[…], before="…", after="…", backup=…, problem=None)
unwrap(file)               → the same, the other way round
look(file)                 → the servers as they stand
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from km_client.errors import ClientError
from km_client.wrapping import backup, files, plan, servers
from km_client.wrapping.backup import Record
from km_client.wrapping.clients import ConfigFile
from km_client.wrapping.documents import syntax
from km_client.wrapping.documents.tree import ParseError
from km_client.wrapping.files import Snapshot
from km_client.wrapping.plan import BOM, Plan
from km_client.wrapping.servers import Server

T = TypeVar("T")
ATTEMPTS = 5  # a program that writes its file more often than that is busy, and says so by it


class Result(NamedTuple):
    """What was found in one file and what became of it. `before` and `after` are its text; alike, nothing changed.

    `problem` says why the file cannot be used; then there is nothing else.
    """

    file: ConfigFile
    servers: list[Server]
    before: str
    after: str
    backup: Path | None = None
    problem: ClientError | None = None


def look(file: ConfigFile) -> Result | None:
    """The servers of a file; `None` where there is no file."""
    try:
        snapshot = files.read(file.path)
        if snapshot is None:
            return None
        text = _text(snapshot)
        found = _parsed(
            file,
            lambda: servers.listed(
                syntax(file.client.syntax).parse(text.removeprefix(BOM), file.client.roots), file.client
            ),
        )
    except ClientError as error:
        return Result(file, [], "", "", problem=error)
    return Result(file, found, text, text)


def wrap(file: ConfigFile, program: str, *, dry_run: bool = False, with_remote: bool = True) -> Result | None:
    """Have the monitor start every server of the file that it can; `None` where there is no file."""

    def one_try(snapshot: Snapshot) -> Result:
        made, record = _planned(file, snapshot, program, with_remote=with_remote)
        text, after = _text(snapshot), made.after
        if after == text or dry_run:
            return Result(file, made.servers, text, after)
        files.check_writable(snapshot)
        before = _before(snapshot, made, record)
        copy = backup.keep(snapshot.path, file.client.id, before, after.encode(), made.undo)
        files.replace(snapshot, after.encode())
        return Result(file, made.servers, text, after, copy)

    return _tried(file, one_try)


def unwrap(file: ConfigFile, *, dry_run: bool = False) -> Result | None:
    """Give the file back as it was, but for what was changed since; `None` where there is no file."""

    def one_try(snapshot: Snapshot) -> Result:
        made, record = _planned(file, snapshot, None)
        found = [servers.unwrappable(server) for server in made.servers]
        before = _before(snapshot, made, record)
        if before != snapshot.data and not dry_run:
            files.replace(snapshot, before)
        if not dry_run and found == made.servers:  # else the copy may be all that tells what was there
            backup.forget(snapshot.path)
        return Result(file, found, _text(snapshot), before.decode())

    return _tried(file, one_try)


def _tried(file: ConfigFile, one_try: Callable[[Snapshot], Result]) -> Result | None:
    try:
        for _ in range(ATTEMPTS):
            snapshot = files.read(file.path)
            if snapshot is None:
                return None
            try:
                return one_try(snapshot)
            except files.ChangedMeanwhile:
                continue
        raise ClientError(
            "config_changing",
            f"{file.path} was written by another program {ATTEMPTS} times while it was edited",
            f"close {file.client.title}, and try again: nothing was changed",
        )
    except ClientError as error:
        return Result(file, [], "", "", problem=error)


def _planned(
    file: ConfigFile, snapshot: Snapshot, program: str | None, *, with_remote: bool = True
) -> tuple[Plan, Record | None]:
    record, text = backup.find(snapshot.path), _text(snapshot)
    kept = record.undo if record else []

    def make() -> Plan:
        try:
            return plan.make(text, file.client, program, kept, with_remote=with_remote)
        except ClientError:
            if not kept:
                raise
            # What is recorded does not fit what the file has become: the entries alone say enough.
            return plan.make(text, file.client, program, [], with_remote=with_remote)

    return _parsed(file, make), record


def _before(snapshot: Snapshot, made: Plan, record: Record | None) -> bytes:
    """The file without our wrapping: as it was to the byte, if nobody else has written it since."""
    known = backup.original(snapshot.path, record, snapshot.data) if record else None
    return made.before.encode() if known is None else known


def _text(snapshot: Snapshot) -> str:
    try:
        return snapshot.data.decode()
    except UnicodeDecodeError as error:
        line = snapshot.data.count(b"\n", 0, error.start) + 1
        column = error.start - snapshot.data.rfind(b"\n", 0, error.start)
        words = f"{snapshot.path} is not UTF-8: line {line}, column {column}"
        raise ClientError("config_invalid", words, "save it as UTF-8: nothing was changed") from None


def _parsed(file: ConfigFile, read: Callable[[], T]) -> T:
    try:
        return read()
    except ParseError as error:
        raise ClientError(
            "config_invalid",
            f"{file.path} cannot be read: {error}",
            "correct it there, or have its program write it anew",
        ) from None
