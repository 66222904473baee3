"""One package on its way through the checks of `verify`: what they found so far, and how each says no.

case = Case(file, policy, at, limits)
read(case, entry)                       "9f86d081…": its SHA-256, noted among `case.files`
same("payload", found, signed)          RefusedError where they differ
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, NamedTuple

from km_protocol.errors import ProtocolError, SignatureError
from km_protocol.kmpkg import dsse
from km_protocol.kmpkg.archive_format import PROGRAM_MODE, Entry
from km_protocol.kmpkg.archive_reader import ArchiveReader
from km_protocol.kmpkg.limits import Limits
from km_protocol.kmpkg.package import Package
from km_protocol.kmpkg.provenance import Provenance
from km_protocol.kmpkg.seen_content import SeenContent
from km_protocol.kmpkg.slot import CustomerData
from km_protocol.kmpkg.statements import PackageStatement, ReviewStatement, Stated
from km_protocol.kmpkg.trust import TrustPolicy


class CheckedFile(NamedTuple):
    """A file as it was verified: `name` in the package, such as `payload/main.py`; `sha256` in hexadecimal digits."""

    name: str
    size: int
    sha256: str
    is_program: bool = False


@dataclass(slots=True)
class Case:
    """What the checks found so far. Each may use what those before it have set, and nothing else exists yet."""

    file: BinaryIO
    policy: TrustPolicy
    at: datetime
    limits: Limits
    file_name: str = ""
    seen: SeenContent | None = None
    files: list[CheckedFile] = field(default_factory=list)
    sha256: str = field(init=False)
    archive: ArchiveReader = field(init=False)
    package: Package = field(init=False)
    issuers: tuple[str, ...] = field(init=False)
    stated: Stated[PackageStatement] = field(init=False)
    provenance: Stated[Provenance] = field(init=False)
    customers: list[CustomerData] = field(default_factory=list)
    review: ReviewStatement = field(init=False)
    reviewers: tuple[str, ...] = field(init=False)

    @property
    def statement(self) -> PackageStatement:
        return self.stated.predicate


class RefusedError(ProtocolError):
    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.code = code


def envelope(case: Case, name: str, code: str, missing: str) -> bytes:
    entry = case.package.statements.get(name)
    if entry is None:
        raise SignatureError(code, f"{missing}: it holds no `{name}`", "ask for the published package")
    if entry.size > dsse.MAX_ENVELOPE_BYTES:
        raise SignatureError("envelope_too_large", f"`{name}` has {entry.size:,} bytes, more than any envelope")
    return case.archive.read(entry)


def read(case: Case, entry: Entry, write: Callable[[bytes], object] | None = None) -> str:
    sha256 = case.archive.copy(entry, write)
    case.files.append(CheckedFile(entry.name, entry.size, sha256, entry.mode == PROGRAM_MODE))
    return sha256


def same(what: str, found: str, stated: str) -> None:
    if found != stated:
        message = f"the {what} is {short(found)}, and {short(stated)} was signed"
        raise RefusedError("statement_differs", message, "do not use it; fetch the package again")


def short(text: str) -> str:
    return f"{text[:12]}…" if len(text) == 64 else text[:120]
