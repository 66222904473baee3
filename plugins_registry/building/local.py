"""A plugin's directory becomes a customer's package on one machine, with this machine's own database and keys.

    payload = payload_of(revision_of(*source_of(directory)), clock)
    packaged(payload, customer, clock, say)      the customer's build; `written` puts it under the guide's name

The same rows, the same box, the same steps as a submission's. What nobody reviewed is signed all the same on a laptop,
by two reviewers' keys that lie beside the database: that is the weaker mode, it says so, and production refuses it. No
other machine trusts those keys.
"""

from __future__ import annotations

import base64
import io
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree, ignore_patterns

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile
from django.db import transaction
from km_protocol.errors import ManifestError, PackageError
from km_protocol.kmpkg import dsse, keys, package, statements
from km_protocol.kmpkg import manifest as manifests
from km_protocol.kmpkg.archive_writer import Member, write_archive
from km_protocol.kmpkg.manifest import Manifest
from km_protocol.kmpkg.source_archive import is_left_out, open_source
from km_protocol.kmpkg.statements import Allowed, ReviewStatement, moment

from customers.models import Customer
from plugins_registry.building import certificates, customer_builds, issuing, kept_files, payloads, requests
from plugins_registry.building.errors import BuildError, NotReviewed, SourceRefused
from plugins_registry.building.steps import Clock
from plugins_registry.models import (
    Approval,
    BuildState,
    CustomerBuild,
    PayloadBuild,
    Plugin,
    ReviewerKey,
    Revision,
    Source,
    Version,
)

ACTOR = "build-plugin"
HEADINGS = {
    "validation": "🔍 Source Validation: verify plugin source integrity",
    "embedding": "🔑 Credential Embedding: inject customer-specific secrets",
    "compilation": "🏗️ Compilation: build optimized binary",
    "signing": "📝 Signing: generate digital signature",
    "packaging": "📦 Packaging: create signed package",
    "verification": "✅ Verification: validate package integrity",
}
_WEAKER = "nobody reviewed this source: signed with two reviewers' keys of this machine, which no other machine trusts"
_MODULES_SECONDS = 300


@dataclass(frozen=True, slots=True)
class LocalKey:
    """A key in a file of this machine."""

    private: Ed25519PrivateKey

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    @property
    def keyid(self) -> str:
        return keys.key_id(self.public)

    def sign(self, data: bytes) -> bytes:
        return self.private.sign(data)


def source_of(directory: Path) -> tuple[Manifest, bytes]:
    """The directory's manifest and source archive; a Go plugin's modules are vendored first. Raises `SourceRefused`."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            manifest = manifests.parse((directory / manifests.FILE_NAME).read_bytes())
            if manifest.runtime == "go" and not (directory / "vendor").exists():
                directory = _vendored(directory, Path(scratch))
            files = [path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()]
            named = {path.relative_to(directory).as_posix(): path for path in files}
            program = manifest.entry if manifest.runtime == "go" else ""
            out = io.BytesIO()
            chosen = [name for name in named if not is_left_out(name) and name != program]
            write_archive([Member(name, named[name].read_bytes) for name in chosen], out)
        except (ManifestError, PackageError) as error:
            raise SourceRefused(str(error), error.hint) from None
    return manifest, out.getvalue()


def _vendored(directory: Path, scratch: Path) -> Path:
    """`go mod vendor`, beside the directory, so that its `replace` lines lead where they did."""
    done = subprocess.run(
        ["go", "mod", "vendor", "-o", str(scratch / "vendor")],
        cwd=directory, capture_output=True, text=True, check=False, timeout=_MODULES_SECONDS,
    )  # fmt: skip
    if done.returncode:
        raise SourceRefused(f"`go mod vendor` failed: {done.stderr.strip()[-300:]}", "correct that and build again")
    copy = scratch / "source"
    copytree(directory, copy, ignore=ignore_patterns(".git", "dist"))
    if (scratch / "vendor").exists():
        (scratch / "vendor").rename(copy / "vendor")
    return copy


@transaction.atomic
def revision_of(manifest: Manifest, archive: bytes) -> Revision:
    """The revision of our own plugin that has this source; a draft when there is none yet."""
    sha256 = kept_files.sha256(archive)
    source, created = Source.objects.get_or_create(sha256=sha256, defaults={"size": len(archive)})
    if created:
        source.file.save(f"sources/{sha256[:2]}/{sha256}.zip", ContentFile(archive))
    plugin, _ = Plugin.objects.get_or_create(name=manifest.name, visibility=Plugin.Visibility.PUBLIC)
    version, _ = Version.objects.get_or_create(plugin=plugin, number=str(manifest.version))
    found = version.revisions.filter(source=source).first()
    if found is not None:
        return found
    with io.BytesIO(archive) as file:
        text = open_source(file).manifest_bytes.decode()
    number = version.revisions.count() + 1
    return Revision.objects.create(
        version=version, number=number, source=source, manifest_json=text, submitted_by=ACTOR,
        platforms=["linux-amd64" if manifest.runtime == "go" else "any"],
    )  # fmt: skip


def payload_of(revision: Revision, clock: Clock) -> PayloadBuild:
    """Built now, unless it is there. Raises `BuildError` with the build's log."""
    build, _ = PayloadBuild.objects.get_or_create(
        revision=revision, platform=revision.platforms[0], defaults={"source_sha256": revision.source_id}
    )
    PayloadBuild.objects.filter(pk=build.pk, state=BuildState.FAILED).update(state=BuildState.QUEUED)
    done = payloads.build_payload(build.pk, clock=clock)
    build.refresh_from_db()
    if not done:
        raise BuildError(f"the payload of {revision} is {build.state}", "see what the build said", log=build.log)
    return build


def packaged(payload: PayloadBuild, customer: Customer, clock: Clock, say: Callable[[str], None]) -> CustomerBuild:
    """Embedded, signed, verified. Raises `BuildError`, `NotReviewed`."""
    from plugins_registry.signing.signers import package_signer  # noqa: PLC0415 - only who signs imports signers

    signer = package_signer()
    review(payload, clock, say)
    row = requests.request_build(payload, customer, at=clock())
    if not (customer_builds.embed(row.pk, clock=clock) and issuing.issue(row.pk, clock=clock, signer=signer)):
        row.refresh_from_db()
        raise BuildError(f"the build {row.public_id} is {row.state}", "see what it says", log=row.log)
    row.refresh_from_db()
    return row


def review(payload: PayloadBuild, clock: Clock, say: Callable[[str], None]) -> None:
    """Keep a review that is there; else sign one with this machine's keys. Raises `NotReviewed` in production."""
    try:
        certificates.review_of(payload)
    except NotReviewed:
        if settings.PRODUCTION:
            raise
        say(f"warning: {_WEAKER}")
        _review(payload, clock)


def _review(payload: PayloadBuild, clock: Clock) -> None:
    manifest = payload.revision.manifest
    statement = ReviewStatement(
        name=manifest.name,
        version=str(manifest.version),
        permissions=Allowed.of(manifest.permissions),
        manifest_sha256=kept_files.sha256(payload.revision.manifest_json.encode()),
        source_sha256=payload.revision.source_id,
        reviewed_at=moment(clock()),
    )
    data = statements.write(payload.payload_digest, statement)
    for name in ("local-security", "local-code"):
        key = _local_key(name)
        row = _registered(name, key)
        Approval.objects.create(
            revision=payload.revision, platform=payload.platform, payload_digest=payload.payload_digest,
            statement_sha256=kept_files.sha256(data), envelope=dsse.sign(data, [key]), reviewer_key=row, at=clock(),
        )  # fmt: skip


def _local_key(name: str) -> LocalKey:
    path = Path(settings.DATA_DIR) / "local-reviewers" / f"{name}.key"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(Ed25519PrivateKey.generate().private_bytes_raw())
    return LocalKey(Ed25519PrivateKey.from_private_bytes(path.read_bytes()))


def _registered(name: str, key: LocalKey) -> ReviewerKey:
    user, _ = get_user_model().objects.get_or_create(username=f"{name} (this machine)", defaults={"is_active": False})
    public = base64.b64encode(key.public).decode()
    row, _ = ReviewerKey.objects.get_or_create(key_id=key.keyid, defaults={"user": user, "public_key": public})
    return row


def written(data: bytes, name: str, into: Path) -> Path:
    """The package under the guide's name."""
    into.mkdir(parents=True, exist_ok=True)
    path = into / package.file_name(name, kept_files.sha256(data))
    path.write_bytes(data)
    return path
