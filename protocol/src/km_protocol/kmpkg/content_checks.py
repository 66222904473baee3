"""The checks of `verify` that look at what a package holds: nothing is there that was not signed for, byte by byte.

Each takes the case, sets what later checks use, and returns what it found in words; or raises a `ProtocolError`.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from typing import BinaryIO

from km_protocol.kmpkg import package, slot
from km_protocol.kmpkg.archive_format import Entry
from km_protocol.kmpkg.archive_reader import ArchiveReader
from km_protocol.kmpkg.package import PayloadFile
from km_protocol.kmpkg.slot import CustomerData
from km_protocol.kmpkg.verification_case import Case, RefusedError, read, same

_CHUNK_BYTES = 1024 * 1024
MAX_OVERLAY_BYTES = 1024 * 1024  # a licence and settings


def archive(case: Case) -> str:
    case.file.seek(0)
    case.sha256 = _whole(case.file)
    package.check_file_name(case.file_name, case.sha256)
    case.archive = ArchiveReader(case.file, case.limits, case.seen)
    return f"{len(case.archive.entries)} files, SHA-256 {case.sha256}"


def _whole(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while piece := file.read(_CHUNK_BYTES):
        digest.update(piece)
    return digest.hexdigest()


def manifest(case: Case) -> str:
    case.package = package.read_manifest(case.archive)
    found = case.package.manifest
    return f"{found.name} {found.version}, {found.runtime}"


def layout(case: Case) -> str:
    package.check_layout(case.package)
    return f"{len(case.package.payload)} files of the payload, {len(case.package.overlay)} of the overlay"


def payload(case: Case) -> str:
    """The manifest, every file that runs and the bill of materials are those the issuer signed for."""
    same("manifest", hashlib.sha256(case.package.manifest_bytes).hexdigest(), case.statement.manifest_sha256)
    found = case.package.manifest
    same("name and version", f"{found.name} {found.version}", f"{case.statement.name} {case.statement.version}")
    place = case.statement.slot
    if place and (found.runtime != "go" or place.path != found.entry):
        raise RefusedError("slot_misplaced", f"the statement sees a customer slot in `{place.path[:80]}`, no program")
    rows = [_payload_file(case, entry) for entry in case.package.payload]
    digest = package.payload_digest(package.payload_listing(rows))
    same("payload", digest, case.stated.payload_digest)
    same("provenance's payload", case.provenance.payload_digest, case.stated.payload_digest)
    _check_sbom(case)
    return f"payload digest {digest}"


def _payload_file(case: Case, entry: Entry) -> PayloadFile:
    place, name = case.statement.slot, package.payload_name(entry)
    if place and name == place.path:
        return PayloadFile(name, entry.size, _slotted(case, entry))
    return PayloadFile(name, entry.size, read(case, entry))


def _slotted(case: Case, entry: Entry) -> str:
    """The digest of the program with its slot blank, after what the slot holds was compared with the statement."""
    assert case.statement.slot
    out = io.BytesIO()
    read(case, entry, out.write)
    program = out.getvalue()
    at = slot.find(program)
    same("customer slot's place", str(at), str(case.statement.slot.offset))
    blanked = slot.blanked_digest(program, at)
    same("program outside its slot", blanked, case.statement.slot.blanked_sha256)
    _belongs(case, slot.read(program, at))
    return blanked


def _belongs(case: Case, customer: CustomerData) -> None:
    """The private key in the package is the one whose public half the issuer signed for."""
    stated = case.statement
    same("customer within", customer.customer_id, stated.customer_id)
    same("build within", customer.build_id, stated.build_id)
    same("build key within", customer.public_key(), stated.build_key)
    if customer.issuer not in case.issuers:
        raise RefusedError("statement_differs", f"the package names the issuer {customer.issuer}, who did not sign it")
    case.customers.append(customer)


def _check_sbom(case: Case) -> None:
    entry = case.package.statements.get(package.SBOM)
    stated = case.provenance.predicate.sbom_sha256()
    same("bill of materials", read(case, entry) if entry else "none", stated or "none")


def overlay(case: Case) -> str:
    size = sum(entry.size for entry in case.package.overlay)
    if size > MAX_OVERLAY_BYTES:
        message = f"the overlay has {size:,} bytes; at most {MAX_OVERLAY_BYTES:,} are allowed"
        raise RefusedError("overlay_too_large", message)
    held = io.BytesIO()
    rows = [
        PayloadFile(_overlay_name(entry), entry.size, read(case, entry, _writer(entry, held)))
        for entry in case.package.overlay
    ]
    same("overlay", package.overlay_digest(rows), case.statement.overlay_digest)
    if held.tell():
        _belongs(case, slot.decode(held.getvalue()))
    if not case.customers:
        message = f"the package holds neither a customer slot nor `{package.CUSTOMER}`: it is nobody's"
        raise RefusedError("customer_missing", message, "ask for a package built for you")
    return f"{len(rows)} files, {size:,} bytes"


def _writer(entry: Entry, held: BinaryIO) -> Callable[[bytes], object] | None:
    return held.write if entry.name == package.CUSTOMER else None


def _overlay_name(entry: Entry) -> str:
    return entry.name.removeprefix(package.OVERLAY)
