"""Whether a signed package may run here, in one fixed order of checks, offline.

    verify(Path("km-plugin-my-plugin-3f9a0c41d2e8.kmpkg"), policy, at=moment)       VerifiedPackage(…)

    archive → manifest → layout → signatures → payload → overlay → review → customer → expiry → blocklist

The first check that fails raises `VerifyError` with that check's exit code: 2 not signed by an issuer, 3 not what was
signed, 4 another customer's, 5 not reviewed, 6 expired, 7 blocked. Only a package that passes all of them becomes a
`VerifiedPackage`, whose `files` say what each file holds: whoever copies them out compares with that, so that a file
changed after it was verified is not used. No clock and no network: the time and the trust come in.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO, NamedTuple

from km_protocol.errors import DocumentError, PackageError, ProtocolError, SignatureError
from km_protocol.kmpkg import dsse, package, slot, statements
from km_protocol.kmpkg.archive_format import PROGRAM_MODE, Entry
from km_protocol.kmpkg.archive_reader import ArchiveReader
from km_protocol.kmpkg.limits import LIMITS, Limits
from km_protocol.kmpkg.manifest import Manifest
from km_protocol.kmpkg.package import Package, PayloadFile
from km_protocol.kmpkg.provenance import Provenance
from km_protocol.kmpkg.slot import CustomerData
from km_protocol.kmpkg.statements import Allowed, PackageStatement, ReviewStatement, Stated
from km_protocol.kmpkg.trust import TrustPolicy

CLOCK_SKEW = timedelta(minutes=5)  # a machine's clock may be this far behind the server that signed
_CHUNK_BYTES = 1024 * 1024
MAX_OVERLAY_BYTES = 1024 * 1024  # a licence and settings


class Exit(IntEnum):
    """What `km-client plugins verify` exits with."""

    OK = 0
    SIGNATURE = 2
    TAMPERED = 3
    CUSTOMER = 4
    REVIEW = 5
    EXPIRED = 6
    BLOCKED = 7


class Step(NamedTuple):
    """One check. `detail` is what it found, or why it failed."""

    name: str
    ok: bool
    detail: str


class VerifyError(ProtocolError):
    """A package that must not run. `steps`: the checks that were made, the last of which failed."""

    def __init__(self, code: str, exit_code: Exit, message: str, hint: str = "", *, steps: tuple[Step, ...]) -> None:
        super().__init__(message, hint)
        self.code = code
        self.exit_code = exit_code
        self.message = message
        self.steps = steps


class CheckedFile(NamedTuple):
    """A file as it was verified: `name` in the package, such as `payload/main.py`; `sha256` in hexadecimal digits."""

    name: str
    size: int
    sha256: str
    is_program: bool = False


@dataclass(frozen=True, slots=True)
class VerifiedPackage:
    """The proof that a package passed every check. Digests in hexadecimal digits, signers as key ids."""

    sha256: str
    payload_digest: str
    manifest: Manifest
    manifest_bytes: bytes
    statement: PackageStatement
    provenance: Provenance
    review: ReviewStatement
    customer: CustomerData
    issuers: tuple[str, ...]
    reviewers: tuple[str, ...]
    files: tuple[CheckedFile, ...]
    steps: tuple[Step, ...]


def verify(
    source: Path | bytes | BinaryIO, policy: TrustPolicy, *, at: datetime, limits: Limits = LIMITS
) -> VerifiedPackage:
    """`at` must know its time zone. Raises `VerifyError`; `OSError` when the file cannot be read."""
    if at.tzinfo is None:
        raise ValueError("a time without a time zone cannot be compared with the package's")
    with _opened(source) as file:
        case = _Case(file, policy, at, limits)
        for name, check, exit_code in _CHECKS:
            _make(case, name, check, exit_code)
    return case.verified()


@contextmanager
def _opened(source: Path | bytes | BinaryIO) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    elif isinstance(source, Path):
        with source.open("rb") as file:
            yield file
    else:
        yield source


@dataclass(slots=True)
class _Case:
    """What the checks found so far. Each may use what those before it have set, and nothing else exists yet."""

    file: BinaryIO
    policy: TrustPolicy
    at: datetime
    limits: Limits
    steps: list[Step] = field(default_factory=list)
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

    def verified(self) -> VerifiedPackage:
        return VerifiedPackage(
            self.sha256,
            self.stated.payload_digest,
            self.package.manifest,
            self.package.manifest_bytes,
            self.statement,
            self.provenance.predicate,
            self.review,
            self.customers[0],
            self.issuers,
            self.reviewers,
            tuple(self.files),
            tuple(self.steps),
        )


def _make(case: _Case, name: str, check: Callable[[_Case], str], exit_code: Exit) -> None:
    """A file that is damaged is tampered with, whichever check comes upon it first."""
    try:
        detail = check(case)
    except ProtocolError as error:
        is_damage = isinstance(error, PackageError | DocumentError)
        case.steps.append(Step(name, False, str(error)))
        raise VerifyError(
            error.code, Exit.TAMPERED if is_damage else exit_code, str(error), error.hint, steps=tuple(case.steps)
        ) from None
    case.steps.append(Step(name, True, detail))


class _RefusedError(ProtocolError):
    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.code = code


def _archive(case: _Case) -> str:
    case.file.seek(0)
    case.sha256 = _whole(case.file)
    case.archive = ArchiveReader(case.file, case.limits)
    return f"{len(case.archive.entries)} files, SHA-256 {case.sha256}"


def _whole(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while piece := file.read(_CHUNK_BYTES):
        digest.update(piece)
    return digest.hexdigest()


def _manifest(case: _Case) -> str:
    case.package = package.read_manifest(case.archive)
    manifest = case.package.manifest
    return f"{manifest.name} {manifest.version}, {manifest.runtime}"


def _layout(case: _Case) -> str:
    package.check_layout(case.package)
    return f"{len(case.package.payload)} files of the payload, {len(case.package.overlay)} of the overlay"


def _signatures(case: _Case) -> str:
    envelope = _envelope(case, package.STATEMENT, "package_unsigned", "the package is not signed")
    opened = dsse.opened(envelope, case.policy.issuers, 1)
    case.issuers = opened.signers
    case.stated = statements.read(opened.payload, PackageStatement)
    envelope = _envelope(case, package.PROVENANCE, "provenance_missing", "nothing says what the package was built from")
    case.provenance = statements.read(dsse.verify(envelope, case.policy.issuers, 1), Provenance)
    return f"signed by the issuer {', '.join(case.issuers)}"


def _envelope(case: _Case, name: str, code: str, missing: str) -> bytes:
    entry = case.package.statements.get(name)
    if entry is None:
        raise SignatureError(code, f"{missing}: it holds no `{name}`", "ask for the published package")
    if entry.size > dsse.MAX_ENVELOPE_BYTES:
        raise SignatureError("envelope_invalid", f"`{name}` has {entry.size:,} bytes, more than any envelope")
    return case.archive.read(entry)


def _payload(case: _Case) -> str:
    """The manifest, every file that runs and the bill of materials are those the issuer signed for."""
    _same("manifest", hashlib.sha256(case.package.manifest_bytes).hexdigest(), case.statement.manifest_sha256)
    manifest = case.package.manifest
    _same("name and version", f"{manifest.name} {manifest.version}", f"{case.statement.name} {case.statement.version}")
    place = case.statement.slot
    if place and (manifest.runtime != "go" or place.path != manifest.entry):
        raise _RefusedError("slot_misplaced", f"the statement sees a customer slot in `{place.path[:80]}`, no program")
    rows = [_payload_file(case, entry) for entry in case.package.payload]
    digest = package.payload_digest(package.payload_listing(rows))
    _same("payload", digest, case.stated.payload_digest)
    _same("provenance's payload", case.provenance.payload_digest, case.stated.payload_digest)
    _check_sbom(case)
    return f"payload digest {digest}"


def _payload_file(case: _Case, entry: Entry) -> PayloadFile:
    place, name = case.statement.slot, package.payload_name(entry)
    if place and name == place.path:
        return PayloadFile(name, entry.size, _slotted(case, entry))
    return PayloadFile(name, entry.size, _read(case, entry))


def _read(case: _Case, entry: Entry, write: Callable[[bytes], object] | None = None) -> str:
    sha256 = case.archive.copy(entry, write)
    case.files.append(CheckedFile(entry.name, entry.size, sha256, entry.mode == PROGRAM_MODE))
    return sha256


def _slotted(case: _Case, entry: Entry) -> str:
    """The digest of the program with its slot blank, after what the slot holds was compared with the statement."""
    assert case.statement.slot
    out = io.BytesIO()
    _read(case, entry, out.write)
    program = out.getvalue()
    _same("customer slot's place", str(slot.find(program)), str(case.statement.slot.offset))
    blanked = slot.blanked_digest(program)
    _same("program outside its slot", blanked, case.statement.slot.blanked_sha256)
    _belongs(case, slot.read(program))
    return blanked


def _belongs(case: _Case, customer: CustomerData) -> None:
    """The private key in the package is the one whose public half the issuer signed for."""
    stated = case.statement
    _same("customer within", customer.customer_id, stated.customer_id)
    _same("build within", customer.build_id, stated.build_id)
    _same("build key within", customer.public_key(), stated.build_key)
    if customer.issuer not in case.issuers:
        raise _RefusedError("statement_differs", f"the package names the issuer {customer.issuer}, who did not sign it")
    case.customers.append(customer)


def _same(what: str, found: str, stated: str) -> None:
    if found != stated:
        message = f"the {what} is {_short(found)}, and {_short(stated)} was signed"
        raise _RefusedError("statement_differs", message, "do not use it; fetch the package again")


def _short(text: str) -> str:
    return f"{text[:12]}…" if len(text) == 64 else text[:120]


def _check_sbom(case: _Case) -> None:
    entry = case.package.statements.get(package.SBOM)
    stated = case.provenance.predicate.sbom_sha256()
    _same("bill of materials", _read(case, entry) if entry else "none", stated or "none")


def _overlay(case: _Case) -> str:
    size = sum(entry.size for entry in case.package.overlay)
    if size > MAX_OVERLAY_BYTES:
        message = f"the overlay has {size:,} bytes; at most {MAX_OVERLAY_BYTES:,} are allowed"
        raise _RefusedError("overlay_too_large", message)
    rows = [PayloadFile(_overlay_name(entry), entry.size, _read(case, entry)) for entry in case.package.overlay]
    _same("overlay", package.overlay_digest(rows), case.statement.overlay_digest)
    for entry in case.package.overlay:
        if entry.name == package.CUSTOMER:
            _belongs(case, slot.decode(case.archive.read(entry)))
    if not case.customers:
        message = f"the package holds neither a customer slot nor `{package.CUSTOMER}`: it is nobody's"
        raise _RefusedError("customer_missing", message, "ask for a package built for you")
    return f"{len(rows)} files, {size:,} bytes"


def _overlay_name(entry: Entry) -> str:
    return entry.name.removeprefix(package.OVERLAY)


def _review(case: _Case) -> str:
    policy, manifest = case.policy, case.package.manifest
    envelope = _envelope(case, package.REVIEW, "review_missing", "nobody reviewed the package")
    opened = dsse.opened(envelope, policy.reviewers, policy.review_threshold)
    review = statements.read(opened.payload, ReviewStatement)
    case.review, case.reviewers = review.predicate, opened.signers
    _reviewed("payload", case.stated.payload_digest, review.payload_digest)
    reviewed = f"{case.review.name} {case.review.version}"
    _reviewed("name and version", f"{manifest.name} {manifest.version}", reviewed)
    _reviewed("source", case.provenance.predicate.source_sha256() or "not told", case.review.source_sha256)
    if case.review.permissions != Allowed.of(manifest.permissions):
        raise _RefusedError("review_differs", "the manifest asks for other permissions than the review allowed")
    return f"signed by the reviewers {', '.join(case.reviewers)} on {case.review.reviewed_at}"


def _reviewed(what: str, found: str, reviewed: str) -> None:
    if found != reviewed:
        message = f"the {what} is {_short(found)}, and {_short(reviewed)} was reviewed"
        raise _RefusedError("review_differs", message, "ask for a package that was reviewed")


def _customer(case: _Case) -> str:
    built_for, wanted = case.statement.customer_id, case.policy.customer_id
    if wanted is None:
        return f"built for {built_for}; not compared, for no customer was named"
    if built_for != wanted:
        message = f"the package was built for {built_for}, and this is {wanted}"
        raise _RefusedError("wrong_customer", message, "`km-client plugins install` fetches your own")
    return f"built for {built_for}"


def _expiry(case: _Case) -> str:
    built, expires = statements.when(case.statement.built_at), statements.when(case.statement.expires_at)
    if case.at >= expires:
        message = f"the package expired on {case.statement.expires_at}"
        raise _RefusedError("package_expired", message, "`km-client plugins refresh` fetches a new one")
    if case.at < built - CLOCK_SKEW:
        message = f"the package was built on {case.statement.built_at}, which is still to come"
        raise _RefusedError("package_not_yet_valid", message, "set this machine's clock")
    return f"until {case.statement.expires_at}"


def _blocklist(case: _Case) -> str:
    for what, digest in (("package", case.sha256), ("payload", case.stated.payload_digest)):
        if digest in case.policy.blocked:
            message = f"the {what} {_short(digest)} is blocked"
            raise _RefusedError("package_blocked", message, "remove the plugin: `km-client plugins remove`")
    return f"not among {len(case.policy.blocked):,} blocked"


_CHECKS: tuple[tuple[str, Callable[[_Case], str], Exit], ...] = (
    ("archive", _archive, Exit.TAMPERED),
    ("manifest", _manifest, Exit.TAMPERED),
    ("layout", _layout, Exit.TAMPERED),
    ("signatures", _signatures, Exit.SIGNATURE),
    ("payload", _payload, Exit.TAMPERED),
    ("overlay", _overlay, Exit.TAMPERED),
    ("review", _review, Exit.REVIEW),
    ("customer", _customer, Exit.CUSTOMER),
    ("expiry", _expiry, Exit.EXPIRED),
    ("blocklist", _blocklist, Exit.BLOCKED),
)
