"""What is about to be certified, worked out from the payload itself and from nothing the service says about it.

    examined(path, statement)  → Examined(digest="9f86…", files=14, …), or ReviewError naming what does not agree

The digest is recomputed from the files of the downloaded archive. The statement is read strictly: its subject must be
that digest; its name, version and permissions must be those of the manifest that the payload carries.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from km_protocol.errors import ProtocolError
from km_protocol.kmpkg import package, slot, statements
from km_protocol.kmpkg.package import Package
from km_protocol.kmpkg.statements import Allowed, ReviewStatement

from km_review.errors import ReviewError


@dataclass(frozen=True, slots=True)
class Examined:
    """A payload that is what the statement says. `statement` are the bytes to sign."""

    digest: str
    files: int
    size: int
    statement: bytes
    review: ReviewStatement


def examined(path: Path, statement: bytes) -> Examined:
    """Raises `ReviewError`."""
    try:
        stated = statements.read(statement, ReviewStatement)
        with path.open("rb") as file:
            opened = package.open_package(file)
            digest = package.payload_digest(opened.listing())
            _check_slot(opened)
    except ProtocolError as error:
        raise ReviewError("payload_refused", f"the payload is refused: {error}", error.hint) from None
    if stated.payload_digest != digest:
        raise ReviewError(
            "digest_differs",
            f"the payload's digest is {digest}, and the statement to sign is about {stated.payload_digest}",
            "do not sign; tell the operator: what is offered is not what was built",
        )
    _check_manifest(opened, stated.predicate)
    size = sum(entry.size for entry in opened.payload)
    return Examined(digest, len(opened.payload), size, statement, stated.predicate)


def _check_slot(opened: Package) -> None:
    """A program under review belongs to no customer yet."""
    if opened.manifest.runtime != "go":
        return
    entry = next(each for each in opened.payload if package.payload_name(each) == opened.manifest.entry)
    program = opened.archive.read(entry)
    if slot.MARKER in program and not slot.is_blank(program):
        hint = "do not sign; tell the operator"
        raise ReviewError("slot_filled", "the program's customer slot is filled already", hint)


def _check_manifest(opened: Package, review: ReviewStatement) -> None:
    manifest = opened.manifest
    says = (review.name, review.version, review.permissions, review.manifest_sha256)
    own_digest = hashlib.sha256(opened.manifest_bytes).hexdigest()
    holds = (manifest.name, manifest.version.text, Allowed.of(manifest.permissions), own_digest)
    for what, said, held in zip(("name", "version", "permissions", "manifest digest"), says, holds, strict=True):
        if said != held:
            raise ReviewError(
                "manifest_differs",
                f"the statement's {what} is {said}, the payload's manifest says {held}",
                "do not sign; tell the operator",
            )
