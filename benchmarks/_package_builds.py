"""A customer's package from a built payload, timed: what embedding, signing, packing and verifying cost.

    report(registry, moment)     {"package_3mb_unpacked_ms": 48.0, "package_3mb_unpacked_bytes": 1_303_042, …}

Three payloads with a customer slot, since bytes cost twice, packed and unpacked: 3 MB that pack well, 3 MB packed that
hardly pack, and a real Go program's proportion, 9 MB that pack to 3. Each is stored as a build would leave it, and two
reviewers signed for it; then the same two functions run as in the workers of `builds` and `signing`, for one customer
after another. Imported after Django is set up.
"""

from __future__ import annotations

import hashlib
import json
import random
import statistics
import time
from datetime import datetime
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from km_protocol import canonical
from km_protocol.kmpkg import dsse, package, slot, statements
from km_protocol.kmpkg.provenance import Provenance
from km_protocol.kmpkg.statements import Allowed, ReviewStatement

from customers.models import Customer
from plugins_registry.building import customer_builds, issuing, kept_files, packing, requests
from plugins_registry.building.local import LocalKey
from plugins_registry.lifecycle import State
from plugins_registry.models import (
    Approval,
    BuildState,
    CustomerBuild,
    PayloadBuild,
    Plugin,
    Revision,
    SigningRole,
    Source,
    Version,
)
from tests.plugins_registry.repositories import world
from tests.plugins_registry.repositories.world import Founded

MB = 1_000_000
TIMES = 15  # packages of each kind; the median is told
# Bytes unpacked, and how much of them is new rather than a repetition; `None`: bytes that only ever take 7 of 8 bits.
CASES = {"3mb_unpacked": (3 * MB, 0.27), "3mb_packed": (3 * MB * 8 // 7, None), "9mb_program": (9 * MB, 0.14)}
_PHRASE = 12


def report(registry: Founded, moment: datetime) -> dict[str, Any]:
    """Milliseconds and bytes of each case."""
    issuer = LocalKey(Ed25519PrivateKey.generate())
    SigningRole.objects.create(role="issuer", key_id=issuer.keyid, public={})
    figures: dict[str, Any] = {}
    for name, (size, novelty) in CASES.items():
        payload = _built(registry, f"bench-{name}".replace("_", "-"), program(size, novelty), moment)
        figures |= {f"package_{name}_{unit}": value for unit, value in _timed(payload, issuer, moment).items()}
    return figures


def program(size: int, novelty: float | None) -> bytes:
    """Bytes that look like a program's to a packer: a blank slot in the midst of phrases, new ones and known ones."""
    chance = random.Random(size)
    if novelty is None:
        data = chance.randbytes(size).translate(bytes(byte & 0x7F for byte in range(256)))
    else:
        fresh, count = chance.randbytes(size), size // _PHRASE
        known = [chance.randbytes(_PHRASE) for _ in range(512)]
        data = b"".join(
            fresh[at : at + _PHRASE] if chance.random() < novelty else known[chance.getrandbits(9)]
            for at in range(0, count * _PHRASE, _PHRASE)
        )
    middle = len(data) // 2
    return b"\x7fELF" + data[:middle] + slot.BLANK + data[middle:]


def _built(registry: Founded, name: str, data: bytes, moment: datetime) -> PayloadBuild:
    """The rows and the file of a payload that was built and reviewed."""
    manifest = canonical.dumps({**json.loads(world.manifest(name, "1.0.0", ())), "runtime": "go"})
    source, _ = Source.objects.get_or_create(sha256="1" * 64, defaults={"size": 1})
    version = Version.objects.create(plugin=Plugin.objects.create(name=name), number="1.0.0")
    revision = Revision.objects.create(
        version=version, number=1, source=source, manifest_json=manifest.decode(), platforms=[world.LINUX],
        state=State.APPROVED, submitted_by="system",
    )  # fmt: skip
    entry = revision.manifest.entry
    row = package.PayloadFile(entry, len(data), hashlib.sha256(data).hexdigest())
    build = PayloadBuild(
        revision=revision, platform=world.LINUX, state=BuildState.BUILT, source_sha256=source.sha256, sbom="{}",
        payload_digest=package.payload_digest(package.payload_listing([row])), file=f"payloads/{name}.kmpkg",
    )  # fmt: skip
    build.provenance = canonical.dumps(msgspec.to_builtins(_provenance(build, moment))).decode()
    members = [packing.pack(package.MANIFEST, manifest), packing.pack_program(package.PAYLOAD + entry, data)]
    kept_files.store(str(build.file), packing.assemble(members))
    build.save()
    _approve(registry, build, moment)
    return build


def _provenance(build: PayloadBuild, moment: datetime) -> Provenance:
    at = statements.moment(moment)
    return Provenance.of(
        source_sha256=build.revision.source_id, platform="linux-amd64", builder_id="bench", invocation_id="bench",
        started_on=at, finished_on=at, sbom_sha256=kept_files.sha256(build.sbom.encode()),
    )  # fmt: skip


def _approve(registry: Founded, build: PayloadBuild, moment: datetime) -> None:
    manifest = build.revision.manifest
    statement = statements.write(
        build.payload_digest,
        ReviewStatement(
            name=manifest.name,
            version=str(manifest.version),
            permissions=Allowed.of(manifest.permissions),
            manifest_sha256=kept_files.sha256(build.revision.manifest_json.encode()),
            source_sha256=build.revision.source_id,
            reviewed_at=statements.moment(moment),
        ),
    )
    for person, row in zip(registry.reviewers, registry.reviewer_rows, strict=True):
        Approval.objects.create(
            revision=build.revision, platform=build.platform, payload_digest=build.payload_digest,
            statement_sha256=kept_files.sha256(statement), envelope=dsse.sign(statement, [LocalKey(person.private)]),
            reviewer_key=row, at=moment,
        )  # fmt: skip


def _timed(payload: PayloadBuild, issuer: LocalKey, moment: datetime) -> dict[str, Any]:
    spent: list[float] = []
    for number in range(TIMES + 1):  # the first warms the caches
        customer = Customer.objects.create(name=f"Packaged {payload.pk} {number}")
        build = requests.request_build(payload, customer, at=moment)
        begun = time.perf_counter()
        customer_builds.embed(build.pk, clock=lambda: moment)
        issuing.issue(build.pk, clock=lambda: moment, signer=issuer)
        spent.append((time.perf_counter() - begun) * 1e3)
    row = CustomerBuild.objects.get(pk=build.pk)
    assert row.state == BuildState.BUILT, row.log
    ordered = sorted(spent[1:])
    return {"ms": round(statistics.median(ordered), 1), "max_ms": round(ordered[-1], 1), "bytes": row.size}
