"""Whether a signed package may run here, in one fixed order of checks, offline.

    verify(Path("km-plugin-my-plugin-3f9a0c41d2e8.kmpkg"), policy, at=moment)       VerifiedPackage(…)

    archive → manifest → layout → signatures → payload → overlay → review → customer → expiry → blocklist

The first check that fails raises `VerifyError` with that check's exit code: 2 not signed by an issuer, 3 not what was
signed, 4 another customer's, 5 not reviewed, 6 expired, 7 blocked. Only a package that passes all of them becomes a
`VerifiedPackage`, whose `files` say what each file holds: whoever copies them out compares with that, so that a file
changed after it was verified is not used. No clock and no network: the time and the trust come in.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO, NamedTuple

from km_protocol.errors import DocumentError, PackageError, ProtocolError
from km_protocol.kmpkg import claim_checks, content_checks
from km_protocol.kmpkg.limits import LIMITS, Limits
from km_protocol.kmpkg.manifest import Manifest
from km_protocol.kmpkg.provenance import Provenance
from km_protocol.kmpkg.seen_content import SeenContent
from km_protocol.kmpkg.slot import CustomerData
from km_protocol.kmpkg.statements import PackageStatement, ReviewStatement
from km_protocol.kmpkg.trust import TrustPolicy
from km_protocol.kmpkg.verification_case import Case, CheckedFile


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
    source: Path | bytes | BinaryIO,
    policy: TrustPolicy,
    *,
    at: datetime,
    limits: Limits = LIMITS,
    seen: SeenContent | None = None,
) -> VerifiedPackage:
    """`at` must know its time zone. `seen`: what whoever made the package has inflated already.

    Raises `VerifyError`; `OSError` when the file cannot be read.
    """
    if at.tzinfo is None:
        raise ValueError("a time without a time zone cannot be compared with the package's")
    with _opened(source) as file:
        case = Case(file, policy, at, limits, source.name if isinstance(source, Path) else "", seen)
        steps: list[Step] = []
        for name, check, exit_code in _CHECKS:
            _make(case, name, check, exit_code, steps)
    return _verified(case, tuple(steps))


@contextmanager
def _opened(source: Path | bytes | BinaryIO) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    elif isinstance(source, Path):
        with source.open("rb") as file:
            yield file
    else:
        yield source


def _verified(case: Case, steps: tuple[Step, ...]) -> VerifiedPackage:
    return VerifiedPackage(
        sha256=case.sha256,
        payload_digest=case.stated.payload_digest,
        manifest=case.package.manifest,
        manifest_bytes=case.package.manifest_bytes,
        statement=case.statement,
        provenance=case.provenance.predicate,
        review=case.review,
        customer=case.customers[0],
        issuers=case.issuers,
        reviewers=case.reviewers,
        files=tuple(case.files),
        steps=steps,
    )


def _make(case: Case, name: str, check: Callable[[Case], str], exit_code: Exit, steps: list[Step]) -> None:
    """A file that is damaged is tampered with, whichever check comes upon it first."""
    try:
        detail = check(case)
    except ProtocolError as error:
        steps.append(Step(name, False, str(error)))
        code = Exit.TAMPERED if isinstance(error, PackageError | DocumentError) else exit_code
        raise VerifyError(error.code, code, str(error), error.hint, steps=tuple(steps)) from None
    steps.append(Step(name, True, detail))


_CHECKS: tuple[tuple[str, Callable[[Case], str], Exit], ...] = (
    ("archive", content_checks.archive, Exit.TAMPERED),
    ("manifest", content_checks.manifest, Exit.TAMPERED),
    ("layout", content_checks.layout, Exit.TAMPERED),
    ("signatures", claim_checks.signatures, Exit.SIGNATURE),
    ("payload", content_checks.payload, Exit.TAMPERED),
    ("overlay", content_checks.overlay, Exit.TAMPERED),
    ("review", claim_checks.review, Exit.REVIEW),
    ("customer", claim_checks.customer, Exit.CUSTOMER),
    ("expiry", claim_checks.expiry, Exit.EXPIRED),
    ("blocklist", claim_checks.blocklist, Exit.BLOCKED),
)
