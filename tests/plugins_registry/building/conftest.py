"""What the tests of builds stand on: a storage of their own, sources of real plugins, and reviewers with keys."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile
from km_protocol.kmpkg import dsse, keys, statements
from km_protocol.kmpkg import manifest as manifests
from km_protocol.kmpkg.archive_writer import Member, write_archive
from km_protocol.kmpkg.source_archive import is_left_out
from km_protocol.kmpkg.statements import Allowed, ReviewStatement, moment

from plugins_registry.building import kept_files
from plugins_registry.lifecycle import State
from plugins_registry.models import Approval, PayloadBuild, Plugin, ReviewerKey, Revision, SigningRole, Source, Version
from tests.plugins_registry.storing import moved

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
Files = dict[str, bytes]


@dataclass
class Clock:
    """A clock that goes when it is told to."""

    at: datetime = NOW

    def __call__(self) -> datetime:
        return self.at

    def forward(self, by: timedelta) -> None:
        self.at += by


@dataclass
class Key:
    """An honest signer in memory."""

    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    @property
    def keyid(self) -> str:
        return keys.key_id(self.public)

    def sign(self, data: bytes) -> bytes:
        return self.private.sign(data)


@pytest.fixture(autouse=True)
def own_storage(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of this test only."""
    moved(monkeypatch, tmp_path / "registry")
    settings.WHEELS_DIR = tmp_path / "wheels"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(db: None) -> Key:
    """The issuer's key; its public half is in the rows, as `signing` leaves it."""
    key = Key()
    SigningRole.objects.create(role="issuer", key_id=key.keyid, public={})
    return key


def tree(directory: Path) -> Files:
    """A plugin's directory as `km-client plugin submit` would send it."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_file() and not is_left_out(name):
            found[name] = path.read_bytes()
    return found


def archive(files: Files) -> bytes:
    out = io.BytesIO()
    write_archive([Member(name, lambda data=data: data) for name, data in files.items()], out)  # type: ignore[misc]
    return out.getvalue()


def payload_row(files: Files, platform: str = "any") -> PayloadBuild:
    """A revision of those files that waits for its payload."""
    data = archive(files)
    sha256 = kept_files.sha256(data)
    manifest = manifests.parse(files["manifest.json"])
    source, made = Source.objects.get_or_create(sha256=sha256, defaults={"size": len(data)})
    if made:
        source.file.save(f"sources/{sha256}.zip", ContentFile(data))
    plugin, _ = Plugin.objects.get_or_create(name=manifest.name)
    version, _ = Version.objects.get_or_create(plugin=plugin, number=str(manifest.version))
    revision = Revision.objects.create(
        version=version,
        number=version.revisions.count() + 1,
        source=source,
        manifest_json=files["manifest.json"].decode(),
        platforms=[platform],
        state=State.APPROVED,
        submitted_by="key:key_author",
    )
    return PayloadBuild.objects.create(revision=revision, platform=platform, source_sha256=sha256)


def approve(build: PayloadBuild, reviewers: list[Key], **changes: Any) -> list[ReviewerKey]:
    """Each reviewer signs for the payload with a key of their own."""
    build.refresh_from_db()
    manifest = build.revision.manifest
    said: dict[str, Any] = {
        "name": manifest.name,
        "version": str(manifest.version),
        "permissions": Allowed.of(manifest.permissions),
        "manifest_sha256": kept_files.sha256(build.revision.manifest_json.encode()),
        "source_sha256": build.source_sha256,
        "reviewed_at": moment(NOW),
    } | changes
    statement = statements.write(build.payload_digest, ReviewStatement(**said))
    return [_approved(build, key, statement) for key in reviewers]


def _approved(build: PayloadBuild, key: Key, statement: bytes) -> ReviewerKey:
    user, _ = get_user_model().objects.get_or_create(username=f"reviewer-{key.keyid}")
    public = base64.b64encode(key.public).decode()
    row, _ = ReviewerKey.objects.get_or_create(key_id=key.keyid, defaults={"user": user, "public_key": public})
    Approval.objects.create(
        revision=build.revision,
        platform=build.platform,
        payload_digest=build.payload_digest,
        statement_sha256=kept_files.sha256(statement),
        envelope=dsse.sign(statement, [key]),
        reviewer_key=row,
        at=NOW,
    )
    return row


@cache
def console_logger() -> Files:
    return tree(ROOT / "plugins" / "console-logger")


def go_plugin() -> Files:
    """A Go program with the SDK's customer slot, a vendored module of one line, and little of the standard library."""
    manifest = (ROOT / "plugins" / "tool-stats" / "manifest.json").read_bytes()
    customer = (ROOT / "sdk" / "go" / "customer.go").read_bytes()
    return {
        "manifest.json": manifest,
        "go.mod": b"module example.com/tool-stats\n\ngo 1.24\n\nrequire example.com/words v1.2.0\n",
        "vendor/modules.txt": b"# example.com/words v1.2.0\n## explicit; go 1.24\nexample.com/words\n",
        "vendor/example.com/words/words.go": b'package words\n\nconst Hello = "hello"\n',
        "customer.go": customer.replace(b"package kilometers", b"package main"),
        "main.go": b'package main\n\nimport "example.com/words"\n\n'
        b"func main() { c, err := Customer(); println(c.String(), err != nil, words.Hello) }\n",
    }
