"""Signed packages of a real plugin, made with keys that nobody keeps: what a registry does, in one process.

    registry = DemoRegistry(payload_of(Path("plugins/console-logger")), at=moment)
    registry.package("cus_demo")                  a sound package's bytes
    registry.trust("cus_demo")                    whom to trust about it

A program built with our SDK has a customer slot, which is filled; any other plugin gets its customer in the overlay.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from km_plugin_sdk.packing import members
from km_plugin_sdk.project import build, read_manifest
from km_protocol.kmpkg import dsse, keys, package, slot, statements
from km_protocol.kmpkg import manifest as manifests
from km_protocol.kmpkg.archive_writer import Member, write_archive
from km_protocol.kmpkg.manifest import Manifest
from km_protocol.kmpkg.package import PayloadFile
from km_protocol.kmpkg.provenance import Provenance
from km_protocol.kmpkg.slot import CustomerData
from km_protocol.kmpkg.statements import Allowed, PackageStatement, ReviewStatement, SlotPlace
from km_protocol.kmpkg.trust import TrustPolicy

VALID = timedelta(days=30)
Files = Mapping[str, bytes]


class DemoKey:
    """A `Signer` that lives as long as this process."""

    def __init__(self) -> None:
        self._private = Ed25519PrivateKey.generate()
        self.seed = self._private.private_bytes_raw()
        self.public = self._private.public_key().public_bytes_raw()
        self.keyid = keys.key_id(self.public)

    def sign(self, data: bytes) -> bytes:
        return self._private.sign(data)


def payload_of(directory: Path) -> dict[str, bytes]:
    """A plugin built as `km-client plugin build --package` does: its files by their names in a package."""
    manifest = read_manifest(directory)
    build(directory, reproducibly=True)
    return {member.name: member.read() for member in members(directory, manifest)}


@dataclass
class DemoRegistry:
    """`files` are the manifest and the payload that was reviewed, slot blank."""

    files: Files
    at: datetime
    issuer: DemoKey = field(default_factory=DemoKey)
    reviewers: tuple[DemoKey, ...] = field(default_factory=lambda: (DemoKey(), DemoKey()))

    @cached_property
    def manifest(self) -> Manifest:
        return manifests.parse(self.files[package.MANIFEST])

    @property
    def program(self) -> str:
        """The name of what is executed itself; empty for a Python plugin."""
        return package.PAYLOAD + self.manifest.entry if self.manifest.runtime == "go" else ""

    @cached_property
    def has_slot(self) -> bool:
        return bool(self.program) and slot.MARKER in self.files[self.program]

    @cached_property
    def payload_digest(self) -> str:
        return package.payload_digest(package.payload_listing(_rows(self.files, package.PAYLOAD)))

    def trust(self, customer_id: str, *, blocked: frozenset[str] = frozenset()) -> TrustPolicy:
        reviewers = {key.keyid: key.public for key in self.reviewers}
        return TrustPolicy({self.issuer.keyid: self.issuer.public}, reviewers, 2, customer_id, blocked)

    def package(self, customer_id: str, *, replaced: Files | None = None) -> bytes:
        """`replaced` takes the place of files after everything was signed."""
        return self.packed({**self.entries(customer_id), **(replaced or {})})

    def packed(self, files: Files) -> bytes:
        out = io.BytesIO()
        write_archive([Member(name, _reader(data), name == self.program) for name, data in files.items()], out)
        return out.getvalue()

    def entries(self, customer_id: str, *, built: datetime | None = None, reviewers: int = 2) -> dict[str, bytes]:
        """Everything a package holds. `reviewers`: how many of the two sign."""
        build_key, built = DemoKey(), built or self.at
        data = CustomerData(customer_id, "bld_demo", self.issuer.keyid, keys.to_text(build_key.seed))
        overlay = {} if self.has_slot else {package.CUSTOMER: data.encode()}
        stated = self._package_statement(data, overlay, built)
        return {
            **self.files,
            **({self.program: slot.fill(self.files[self.program], data)} if self.has_slot else {}),
            **overlay,
            package.STATEMENT: dsse.sign(statements.write(self.payload_digest, stated), [self.issuer]),
            package.PROVENANCE: dsse.sign(statements.write(self.payload_digest, self._provenance()), [self.issuer]),
            package.REVIEW: dsse.sign(self.review(), self.reviewers[:reviewers]),
        }

    def review(self) -> bytes:
        """What the reviewers sign."""
        stated = ReviewStatement(
            name=self.manifest.name,
            version=str(self.manifest.version),
            permissions=Allowed.of(self.manifest.permissions),
            manifest_sha256=self._manifest_sha256,
            source_sha256=self._source_sha256,
            reviewed_at=statements.moment(self.at),
        )
        return statements.write(self.payload_digest, stated)

    @property
    def _manifest_sha256(self) -> str:
        return hashlib.sha256(self.files[package.MANIFEST]).hexdigest()

    @property
    def _source_sha256(self) -> str:
        """Stands for the source: here the payload was built from a directory, not from an archive."""
        return hashlib.sha256(self.files[package.MANIFEST] + self.payload_digest.encode()).hexdigest()

    def _package_statement(self, data: CustomerData, overlay: Files, built: datetime) -> PackageStatement:
        return PackageStatement(
            name=self.manifest.name,
            version=str(self.manifest.version),
            platform="linux-amd64" if self.program else "any",
            manifest_sha256=self._manifest_sha256,
            overlay_digest=package.overlay_digest(_rows(overlay, package.OVERLAY)),
            customer_id=data.customer_id,
            build_id=data.build_id,
            build_key=data.public_key(),
            built_at=statements.moment(built),
            expires_at=statements.moment(built + VALID),
            slot=self._slot_place(),
        )

    def _slot_place(self) -> SlotPlace | None:
        if not self.has_slot:
            return None
        program = self.files[self.program]
        return SlotPlace(self.manifest.entry, slot.find(program), slot.SIZE, hashlib.sha256(program).hexdigest())

    def _provenance(self) -> Provenance:
        moment = statements.moment(self.at)
        return Provenance.of(
            source_sha256=self._source_sha256,
            platform="linux-amd64" if self.program else "any",
            builder_id="https://kilometers.ai/builders/demo",
            invocation_id="bld_demo",
            started_on=moment,
            finished_on=moment,
        )


def _rows(files: Files, within: str) -> list[PayloadFile]:
    return [
        PayloadFile(name.removeprefix(within), len(data), hashlib.sha256(data).hexdigest())
        for name, data in files.items()
        if name.startswith(within)
    ]


def _reader(data: bytes) -> Callable[[], bytes]:
    return lambda: data
