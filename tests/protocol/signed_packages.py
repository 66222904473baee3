"""Signed packages as tests need them: sound as they come out, and every part can be replaced before or after signing.

made = Maker().package()                       a Python plugin's bytes that `verify` takes with `POLICY`
Maker(runtime="go").package()                  the same with a program that has a customer slot
Maker(statement={"customer_id": "cus_other"})  signed, but about somebody else
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from km_protocol.kmpkg import dsse, keys, package, slot, statements
from km_protocol.kmpkg.archive_reader import ArchiveReader
from km_protocol.kmpkg.archive_writer import Member, write_archive
from km_protocol.kmpkg.package import PayloadFile
from km_protocol.kmpkg.provenance import Provenance
from km_protocol.kmpkg.slot import CustomerData
from km_protocol.kmpkg.statements import Allowed, PackageStatement, ReviewStatement, SlotPlace
from km_protocol.kmpkg.trust import TrustPolicy

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BUILT, EXPIRES = "2026-11-22T11:00:00Z", "2026-12-22T11:00:00Z"
CUSTOMER, BUILD = "cus_0123456789abcdefghij", "bld_0123456789abcdefghij"
SOURCE_SHA256 = hashlib.sha256(b"the source").hexdigest()
SBOM = b'{"bomFormat":"CycloneDX"}'
FILES = {"main.py": b"print('reviewed')\n", "site/library.py": b"answer = 42\n"}
PROGRAM = b"\x7fELF" + bytes(range(256)) * 40 + slot.BLANK + b"code after the slot " * 50


class Key:
    """A `Signer` whose private key grows from its name: the same in every run."""

    def __init__(self, name: str) -> None:
        self.seed = hashlib.sha256(name.encode()).digest()
        self.public = keys.public_of(self.seed)
        self.keyid = keys.key_id(self.public)

    def sign(self, data: bytes) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(data)


ISSUER, ANN, BEN, STRANGER = Key("issuer"), Key("ann"), Key("ben"), Key("stranger")
BUILD_KEY = Key("build")
POLICY = TrustPolicy(
    issuers={ISSUER.keyid: ISSUER.public},
    reviewers={ANN.keyid: ANN.public, BEN.keyid: BEN.public},
    customer_id=CUSTOMER,
)


def packed(files: Mapping[str, bytes], *programs: str) -> bytes:
    out = io.BytesIO()
    write_archive([Member(name, _given(data), name in programs) for name, data in files.items()], out)
    return out.getvalue()


def _given(data: bytes) -> Callable[[], bytes]:
    return lambda: data


def unpacked(data: bytes) -> dict[str, bytes]:
    archive = ArchiveReader(io.BytesIO(data))
    return {entry.name: archive.read(entry) for entry in archive.entries}


def rows(files: Mapping[str, bytes], within: str) -> list[PayloadFile]:
    return [
        PayloadFile(name.removeprefix(within), len(data), hashlib.sha256(data).hexdigest())
        for name, data in files.items()
        if name.startswith(within)
    ]


def altered(data: bytes, **changes: Any) -> bytes:
    """A statement with other words in its predicate, in canonical form again."""
    document = json.loads(data)
    document["predicate"].update(changes)
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


@dataclass
class Maker:
    """What a registry does, in one place. `statement`, `review`: words to change before they are signed."""

    name: str = "checked"
    runtime: str = "python"
    files: Mapping[str, bytes] = field(default_factory=lambda: dict(FILES))
    program: bytes = PROGRAM
    customer_id: str = CUSTOMER
    statement: dict[str, Any] = field(default_factory=dict)
    review: dict[str, Any] = field(default_factory=dict)
    issuer: Key = ISSUER
    reviewers: tuple[Key, ...] = (ANN, BEN)
    sbom: bytes | None = SBOM

    @property
    def is_go(self) -> bool:
        return self.runtime == "go"

    @cached_property
    def manifest(self) -> bytes:
        said = {
            "name": self.name,
            "version": "1.2.0",
            "description": "Verified.",
            "author": "Tests",
            "license": "MIT",
            "runtime": self.runtime,
            "entry": self.name if self.is_go else "main.py",
            "compatibility": {"kilometers_cli": ">=0.1.0"},
            "permissions": {"network": True, "filesystem": False, "system": False},
        }
        return json.dumps(said, indent=2).encode()

    @property
    def has_slot(self) -> bool:
        return self.is_go and slot.MARKER in self.program

    @cached_property
    def customer(self) -> CustomerData:
        return CustomerData(self.customer_id, BUILD, self.issuer.keyid, keys.to_text(BUILD_KEY.seed))

    @cached_property
    def reviewed(self) -> dict[str, bytes]:
        """The payload, by its names in the package, the same for every customer."""
        files = {self.name: self.program} if self.is_go else self.files
        return {package.PAYLOAD + name: data for name, data in files.items()}

    @cached_property
    def payload(self) -> dict[str, bytes]:
        return {name: slot.fill(data, self.customer) if self.has_slot else data for name, data in self.reviewed.items()}

    @cached_property
    def overlay(self) -> dict[str, bytes]:
        return {} if self.has_slot else {package.CUSTOMER: self.customer.encode()}

    @cached_property
    def payload_digest(self) -> str:
        return package.payload_digest(package.payload_listing(rows(self.reviewed, package.PAYLOAD)))

    @cached_property
    def place(self) -> SlotPlace | None:
        if not self.has_slot:
            return None
        blanked = hashlib.sha256(self.program).hexdigest()
        return SlotPlace(self.name, self.program.index(slot.MARKER), slot.SIZE, blanked)

    def package_statement(self) -> bytes:
        stated = PackageStatement(
            name=self.name,
            version="1.2.0",
            platform="linux-amd64" if self.is_go else "any",
            manifest_sha256=hashlib.sha256(self.manifest).hexdigest(),
            overlay_digest=package.overlay_digest(rows(self.overlay, package.OVERLAY)),
            customer_id=self.customer_id,
            build_id=BUILD,
            build_key=keys.to_text(BUILD_KEY.public),
            built_at=BUILT,
            expires_at=EXPIRES,
            slot=self.place,
        )
        return altered(statements.write(self.payload_digest, stated), **self.statement)

    def provenance(self) -> bytes:
        told = Provenance.of(
            source_sha256=SOURCE_SHA256,
            platform="any",
            builder_id="https://example.com/builder",
            invocation_id="1",
            started_on=BUILT,
            finished_on=BUILT,
            sbom_sha256=hashlib.sha256(self.sbom).hexdigest() if self.sbom else "",
        )
        return statements.write(self.payload_digest, told)

    def review_statement(self) -> bytes:
        stated = ReviewStatement(
            name=self.name,
            version="1.2.0",
            permissions=Allowed(network=True, filesystem=False, system=False, api_key=False),
            manifest_sha256=hashlib.sha256(self.manifest).hexdigest(),
            source_sha256=SOURCE_SHA256,
            reviewed_at=BUILT,
        )
        return altered(statements.write(self.payload_digest, stated), **self.review)

    def entries(self) -> dict[str, bytes]:
        """Everything the package holds, by name."""
        sbom = {package.SBOM: self.sbom} if self.sbom else {}
        return {
            package.MANIFEST: self.manifest,
            package.STATEMENT: dsse.sign(self.package_statement(), [self.issuer]),
            package.PROVENANCE: dsse.sign(self.provenance(), [self.issuer]),
            package.REVIEW: dsse.sign(self.review_statement(), self.reviewers),
            **sbom,
            **self.payload,
            **self.overlay,
        }

    def package(self, **replaced: bytes | None) -> bytes:
        """`replaced` by the name of a constant of `package`, such as `REVIEW=b"…"`; None leaves it out."""
        return self.packed({getattr(package, name): data for name, data in replaced.items()})

    def packed(self, replaced: Mapping[str, bytes | None] | None = None) -> bytes:
        given = {**self.entries(), **(replaced or {})}
        files = {name: data for name, data in given.items() if data is not None}
        return packed(files, *([package.PAYLOAD + self.name] if self.is_go else []))
