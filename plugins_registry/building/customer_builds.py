"""One customer's package of a payload, up to its signatures: made where no key is held.

    embed(customer_build.pk, clock=now)      True: ready to be signed (`issuing.issue`), or signed already

Steps 1 to 3 of 6: the payload's bytes are compared with its digest (validation), the customer's id, the build's id, the
issuer's id and the build's own key go into the program's slot or the overlay (embedding), and what came of it must be
the reviewed payload again once the slot is blank (compilation: the program was compiled once, for everybody).

The build's key is made here and never written down: its private half is in the package, for the customer, its public
half in the row, for whoever asks for a proof. The package in the storage holds it too, so who reads the storage can
pose as that build, and as nothing else, until it is revoked. The unsigned file is named after the key, so a worker that
lost its claim overwrites nothing. Run again after a crash, all bytes but this key, its id and the moment are the same.
"""

from __future__ import annotations

import io
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from km_protocol.errors import ManifestError, PackageError, SlotError
from km_protocol.kmpkg import keys, package, slot
from km_protocol.kmpkg.archive_format import PROGRAM_MODE
from km_protocol.kmpkg.package import Package, PayloadFile
from km_protocol.kmpkg.slot import CustomerData

from customers import audit
from plugins_registry.building import claims, kept_files, packing
from plugins_registry.building.errors import BuildError, DigestDiffers, IssuerMissing
from plugins_registry.building.packing import Packed
from plugins_registry.building.steps import Clock, Steps
from plugins_registry.models import BuildState, CustomerBuild, PayloadBuild, SigningRole

CLAIM = timedelta(minutes=2)  # a hundred times what it takes
STEPS = ("validation", "embedding", "compilation", "signing", "packaging", "verification")
UNSIGNED = "unsigned"  # a directory of the storage
_ISSUER = "issuer"
_READ_BACK = "the storage was changed or damaged: quarantine the plugin, and look into how"


@dataclass(frozen=True, slots=True)
class Payload:
    """A stored payload whose bytes were compared with its digest. `program` is the Go one, else empty.

    `slot_at` is where its customer slot begins; `None` where it has none.
    """

    files: tuple[Packed, ...]
    start: str
    program: bytes
    slot_at: int | None


def embed(pk: int, *, clock: Clock) -> bool:
    """False when the payload is not built, the build failed, or another worker is at it.

    Raises `IssuerMissing` while nobody has ever signed: the build then stays queued.
    """
    started = clock()
    build = CustomerBuild.objects.select_related("payload__revision__version__plugin", "customer").get(pk=pk)
    if build.state == BuildState.BUILT or is_embedded(build):
        return True
    if build.payload.state != BuildState.BUILT:
        return False
    claim = claims.take(CustomerBuild, pk, until=started + CLAIM, at=started)
    if claim is None:
        return False
    if embedded_meanwhile(build):
        return claim.finish()
    steps = Steps(clock)
    try:
        return _embed(claim, build, steps, clock())
    except IssuerMissing:
        claim.finish(state=BuildState.QUEUED)
        raise
    except BuildError as error:
        fail(claim, build, error, steps, clock())
        return False


def is_embedded(build: CustomerBuild) -> bool:
    """Whether it waits for its signatures alone."""
    return build.state == BuildState.BUILDING and bool(build.build_key_public) and build.built_at is not None


def embedded_meanwhile(build: CustomerBuild) -> bool:
    """As `is_embedded`, and `build` as it is now: another worker may have been at it before it was claimed."""
    build.refresh_from_db(fields=["state", "build_key_public", "built_at", "expires_at", "steps", "log"])
    return is_embedded(build)


def unsigned_name(build_id: str, public_key: str) -> str:
    """Where the package lies until it is signed."""
    return f"{UNSIGNED}/{build_id}-{keys.key_id(keys.from_text(public_key))}.kmpkg"


def fail(claim: claims.Claim, build: CustomerBuild, error: BuildError, steps: Steps, at: datetime) -> None:
    """Write down why. A build that failed is built again when somebody asks for it (`requests.request_build`)."""
    log = f"{build.log}error: {error.message}\nhint: {error.hint}\n"
    with transaction.atomic():
        if claim.finish(state=BuildState.FAILED, steps=steps.rows, log=log):
            audit.record(
                "build.failed", subject=f"build:{build.public_id}", at=at, customer=build.customer, code=error.code
            )


def _embed(claim: claims.Claim, build: CustomerBuild, steps: Steps, at: datetime) -> bool:
    with steps.step("validation"):
        issuer = issuer_id()
        payload = load_payload(build.payload)
    with steps.step("embedding"):
        customer = _customer_data(build, issuer)
        files = with_customer(payload, customer)
    with steps.step("compilation"):
        unsigned = packing.assemble(files)
        _check_program(payload, files)
    kept_files.store(unsigned_name(build.public_id, customer.public_key()), unsigned)
    return claim.finish(
        state=BuildState.BUILDING,
        build_key_public=customer.public_key(),
        built_at=at,
        expires_at=at + timedelta(days=settings.PACKAGE_DAYS),
        steps=steps.rows,
        log=f"payload {build.payload.payload_digest}\nissuer {issuer}\n",
    )


def issuer_id() -> str:
    """The id of the key that will sign: public, so a worker that holds no key may know it. Raises `IssuerMissing`."""
    row = SigningRole.objects.filter(role=_ISSUER, active=True).order_by("-id").first()
    if row is None:
        raise IssuerMissing("the issuer has no key yet", "the worker of the queue `signing` makes it")
    return row.key_id


def load_payload(build: PayloadBuild) -> Payload:
    """Raises `DigestDiffers` when the stored bytes are not those that were built."""
    try:
        file = io.BytesIO(kept_files.load(str(build.file.name)))
        opened = package.open_package(file)
        program, digest = _digest(opened)
        slot_at = slot.find(program) if slot.MARKER in program else None
    except (FileNotFoundError, PackageError, ManifestError, SlotError) as error:
        raise DigestDiffers(f"the stored payload cannot be read: {error}", _READ_BACK) from None
    if digest != build.payload_digest:
        message = f"the stored payload has the digest {digest[:12]}…, and {build.payload_digest[:12]}… was built"
        raise DigestDiffers(message, _READ_BACK)
    if opened.manifest_bytes != build.revision.manifest_json.encode():
        raise DigestDiffers("the stored payload has another manifest than was reviewed", _READ_BACK)
    files = tuple(packing.taken(file, entry) for entry in opened.archive.entries)
    return Payload(files, package.PAYLOAD + opened.manifest.entry, program, slot_at)


def _digest(opened: Package) -> tuple[bytes, str]:
    """Of all files' content; the program is kept, for its slot."""
    program: list[bytes] = []
    rows = []
    for entry in opened.payload:
        write = program.append if entry.mode == PROGRAM_MODE else None
        rows.append(PayloadFile(package.payload_name(entry), entry.size, opened.archive.copy(entry, write)))
    return b"".join(program), package.payload_digest(package.payload_listing(rows))


def with_customer(payload: Payload, customer: CustomerData) -> list[Packed]:
    """The files with the slot filled, or with the overlay where there is no slot. Raises `BuildError`."""
    at = payload.slot_at
    if at is None:
        return [*payload.files, packing.pack(package.CUSTOMER, customer.encode())]
    try:
        return [
            packing.filled(file, payload.program, at, customer) if file.name == payload.start else file
            for file in payload.files
        ]
    except SlotError as error:
        raise BuildError(str(error), error.hint) from None


def _customer_data(build: CustomerBuild, issuer: str) -> CustomerData:
    seed = secrets.token_bytes(keys.KEY_BYTES)
    return CustomerData(build.customer.public_id, build.public_id, issuer, keys.to_text(seed))


def _check_program(payload: Payload, files: list[Packed]) -> None:
    """No file but the program and the overlay may have changed. `verify` looks at every byte of it again."""
    before = {file.name: file for file in payload.files}
    changed = {file.name for file in files if before.get(file.name) != file}
    if changed != {package.CUSTOMER if payload.slot_at is None else payload.start}:
        raise DigestDiffers(f"embedding changed {', '.join(sorted(changed))}", "report this: it must not happen")
