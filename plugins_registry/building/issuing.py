"""Signs a customer's package: the one step of a build that holds a key, so it believes nothing that it can check.

    issue(customer_build.pk, clock=now, signer=package_signer())      True: signed, verified and stored

Steps 4 to 6 of 6. From the bytes: the strict reader, the manifest, the payload's digest with the slot blank, the
customer, the build and the build's key in the slot or overlay. From the database: what the digest must be, from which
source it was built, and that two reviewers signed for it with their own keys, not revoked since. Then statements are
signed (signing), the archive is written (packaging), and `km_protocol.kmpkg.verify` reads it as the customer's
laptop will (verification). Ed25519 signatures are deterministic and the moment is the row's, so the same unsigned
package always becomes the same bytes: a crash anywhere in here is made good by doing it again.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, cast

from django.db import transaction
from km_protocol.errors import ManifestError, PackageError, ProtocolError, SlotError
from km_protocol.kmpkg import dsse, package, slot, statements
from km_protocol.kmpkg.archive_format import PROGRAM_MODE
from km_protocol.kmpkg.archive_reader import ArchiveReader
from km_protocol.kmpkg.package import Package, PayloadFile
from km_protocol.kmpkg.seen_content import SeenContent
from km_protocol.kmpkg.slot import CustomerData
from km_protocol.kmpkg.statements import PackageStatement, Platform, SlotPlace, moment
from km_protocol.kmpkg.trust import REVIEW_THRESHOLD, TrustPolicy
from km_protocol.kmpkg.verify import VerifyError, verify

from customers import audit
from plugins_registry.building import certificates, claims, kept_files, packing
from plugins_registry.building.customer_builds import CLAIM, embedded_meanwhile, fail, is_embedded, unsigned_name
from plugins_registry.building.errors import BuildError, DigestDiffers
from plugins_registry.building.packing import Packed
from plugins_registry.building.steps import Clock, Steps
from plugins_registry.models import BuildState, CustomerBuild
from plugins_registry.repositories.dirty import mark_dirty

_LOOK = "quarantine the plugin, and look into how this came about"


class Issuer(Protocol):
    """Whoever signs packages: `signing.package_signer()`. `public` is the raw key, 32 bytes."""

    @property
    def keyid(self) -> str: ...
    @property
    def public(self) -> bytes: ...
    def sign(self, data: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A package whose content was compared with the rows."""

    files: tuple[Packed, ...]
    statement: PackageStatement


def issue(pk: int, *, clock: Clock, signer: Issuer) -> bool:
    """False when there is nothing to sign, it failed, or another worker is at it; then nothing was published."""
    started = clock()
    build = CustomerBuild.objects.select_related(
        "payload__revision__version__plugin", "payload__revision__source", "customer"
    ).get(pk=pk)
    if build.state == BuildState.BUILT:
        return True
    if not is_embedded(build):
        return False
    claim = claims.take(CustomerBuild, pk, until=started + CLAIM, at=started)
    if claim is None:
        return False
    if not embedded_meanwhile(build):
        claim.finish(state=BuildState.QUEUED)
        return False
    steps = Steps(clock, build.steps)
    try:
        data = _issue(build, signer, steps, clock())
    except BuildError as error:
        fail(claim, build, error, steps, clock())
        return False
    return _keep(claim, build, data, steps, clock())


def _issue(build: CustomerBuild, signer: Issuer, steps: Steps, at: datetime) -> bytes:
    with steps.step("signing"):
        seen = SeenContent()
        unsigned = _checked(build, signer, seen)
        review, reviewers = certificates.review_of(build.payload)
        signed = _signed(build, unsigned.statement, signer, review)
    with steps.step("packaging"):
        data = packing.assemble([*unsigned.files, *(packing.pack(name, each) for name, each in signed.items())])
    with steps.step("verification"):
        _verify(build, data, signer, reviewers, seen, at)
    return data


def _checked(build: CustomerBuild, signer: Issuer, seen: SeenContent) -> Unsigned:
    """Raises `DigestDiffers`."""
    try:
        file = io.BytesIO(kept_files.load(unsigned_name(build.public_id, build.build_key_public)))
        opened = package.read_manifest(ArchiveReader(file, seen=seen))
        package.check_layout(opened)
        if opened.statements:
            raise DigestDiffers("the package to sign brings statements of its own", _LOOK)
        files = tuple(packing.taken(file, entry) for entry in opened.archive.entries)
        return Unsigned(files, _statement(build, opened, signer))
    except FileNotFoundError:
        raise BuildError("the package to sign is not in the storage", "have it built again") from None
    except (PackageError, ManifestError, SlotError) as error:
        raise DigestDiffers(f"the package to sign is not what was built: {error}", _LOOK) from None


def _statement(build: CustomerBuild, opened: Package, signer: Issuer) -> PackageStatement:
    place, rows, program = _payload(opened)
    digest = package.payload_digest(package.payload_listing(rows))
    _same("payload digest", digest, build.payload.payload_digest)
    overlay = [
        PayloadFile(each.name.removeprefix(package.OVERLAY), each.size, opened.archive.copy(each))
        for each in opened.overlay
    ]
    _same("overlay", [each.name for each in overlay], [] if place else ["customer.json"])
    customer = slot.read(program, place.offset) if place else slot.decode(opened.archive.read(opened.overlay[0]))
    _check_customer(build, customer, signer)
    revision, (built_at, expires_at) = build.payload.revision, _times(build)
    _same("manifest", opened.manifest_bytes, revision.manifest_json.encode())
    return PackageStatement(
        name=revision.version.plugin.name,
        version=revision.version.number,
        platform=cast(Platform, build.payload.platform),
        manifest_sha256=kept_files.sha256(opened.manifest_bytes),
        overlay_digest=package.overlay_digest(overlay),
        customer_id=build.customer.public_id,
        build_id=build.public_id,
        build_key=build.build_key_public,
        built_at=moment(built_at),
        expires_at=moment(expires_at),
        slot=place,
    )


def _times(build: CustomerBuild) -> tuple[datetime, datetime]:
    if build.built_at is None or build.expires_at is None:
        raise BuildError("the build does not say when it was made", "have it built again")
    return build.built_at, build.expires_at


def _payload(opened: Package) -> tuple[SlotPlace | None, list[PayloadFile], bytes]:
    """Every file by its digest, the program's with its slot blank."""
    rows, place, program = [], None, b""
    for entry in opened.payload:
        pieces: list[bytes] = []
        sha256 = opened.archive.copy(entry, pieces.append if entry.mode == PROGRAM_MODE else None)
        name, content = package.payload_name(entry), b"".join(pieces)
        if slot.MARKER in content:
            program, at = content, slot.find(content)
            sha256 = slot.blanked_digest(program, at)
            place = SlotPlace(name, at, slot.SIZE, sha256)
        rows.append(PayloadFile(name, entry.size, sha256))
    return place, rows, program


def _check_customer(build: CustomerBuild, customer: CustomerData, signer: Issuer) -> None:
    _same("customer", customer.customer_id, build.customer.public_id)
    _same("build", customer.build_id, build.public_id)
    _same("build key", customer.public_key(), build.build_key_public)
    if customer.issuer != signer.keyid:  # rotated between the two queues: no attack
        raise BuildError("the issuer's key was rotated since this was built", "have it built again")


def _same(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise DigestDiffers(f"the {what} of the package to sign is not the database's", _LOOK)


def _signed(build: CustomerBuild, statement: PackageStatement, signer: Issuer, review: bytes) -> Mapping[str, bytes]:
    digest = build.payload.payload_digest
    provenance = certificates.provenance_of(build.payload)
    return {
        package.STATEMENT: dsse.sign(statements.write(digest, statement), [signer]),
        package.PROVENANCE: dsse.sign(statements.write(digest, provenance), [signer]),
        package.REVIEW: review,
        package.SBOM: build.payload.sbom.encode(),
    }


def _verify(
    build: CustomerBuild, data: bytes, signer: Issuer, reviewers: Mapping[str, bytes], seen: SeenContent, at: datetime
) -> None:
    issuers = {signer.keyid: signer.public}
    policy = TrustPolicy(issuers, reviewers, REVIEW_THRESHOLD, build.customer.public_id)
    try:
        verify(data, policy, at=at, seen=seen)
    except VerifyError as error:
        raise DigestDiffers(f"the signed package does not verify: {error.message}", _LOOK) from None
    except ProtocolError as error:
        raise DigestDiffers(f"the signed package does not verify: {error}", _LOOK) from None


def _keep(claim: claims.Claim, build: CustomerBuild, data: bytes, steps: Steps, at: datetime) -> bool:
    sha256 = kept_files.sha256(data)
    name = f"packages/{sha256[:2]}/{sha256}.kmpkg"
    kept_files.store(name, data)
    with transaction.atomic():
        kept = claim.finish(
            state=BuildState.BUILT, package=name, sha256=sha256, size=len(data), steps=steps.rows, log=build.log
        )
        if kept:
            subject = f"build:{build.public_id}"
            audit.record("build.signed", subject=subject, at=at, customer=build.customer, sha256=sha256)
            mark_dirty(build.customer)
    if kept:
        kept_files.forget(unsigned_name(build.public_id, build.build_key_public))
    return kept
