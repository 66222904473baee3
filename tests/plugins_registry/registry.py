"""A small registry to test with: sources, people, and revisions brought as far as a test needs them."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.contrib.auth.models import Permission, User
from km_protocol.kmpkg import dsse, keys
from km_protocol.kmpkg.archive_writer import Member, write_archive

from customers.models import Customer
from customers.models import Member as Membership
from plugins_registry import states, submissions
from plugins_registry.lifecycle import Action
from plugins_registry.models import PayloadBuild, ReviewerKey, Revision
from plugins_registry.uploads import Upload, opened

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=5)
TO_SECURITY = (Action.VALIDATE, Action.SCAN, Action.PASS_SCAN)
TO_CERTIFIED = (*TO_SECURITY, Action.PASS_SECURITY, Action.CERTIFY)
TO_PUBLISHED = (*TO_CERTIFIED, Action.APPROVE, Action.BUILD, Action.PUBLISH)


def manifest(name: str = "slow-tools", version: str = "1.0.0", **changed: Any) -> dict[str, Any]:
    return {
        "name": name,
        "version": version,
        "description": "Tells which tools are slow",
        "author": "Acme",
        "license": "MIT",
        "runtime": "python",
        "entry": "main.py",
        "compatibility": {"kilometers_cli": ">=0.1.0"},
        "permissions": {"network": False, "filesystem": False, "system": False},
    } | changed


def archive(files: dict[str, bytes] | None = None, **described: Any) -> bytes:
    """A source archive; `files` replace or add to `main.py`."""
    content = {"manifest.json": json.dumps(manifest(**described)).encode(), "main.py": b"print('hello')\n"}
    content |= files or {}
    out = io.BytesIO()
    write_archive([Member(name, lambda data=data: data) for name, data in content.items()], out)  # type: ignore[misc]
    return out.getvalue()


def upload(data: bytes) -> Upload:
    file = io.BytesIO(data)
    return Upload(file, hashlib.sha256(data).hexdigest(), len(data), opened(file))


def submitted(owner: Customer, data: bytes | None = None, *, at: datetime = NOON, visibility: str = "") -> Revision:
    found = submissions.submit(
        owner, upload(archive() if data is None else data), visibility=visibility, private=True, actor="key:k", at=at
    )
    return found.revision


def brought(revision: Revision, actions: Sequence[Action], *, at: datetime = NOON) -> Revision:
    """`revision` after `actions`, by the system."""
    for action in actions:
        states.transition(revision.pk, action, "system", at)
    return Revision.objects.select_related("version__plugin__owner", "source").get(pk=revision.pk)


def person(name: str, *permissions: str, of: Customer | None = None) -> User:
    user = User.objects.create_user(name, f"{name}@example.com", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    if of is not None:
        Membership.objects.create(customer=of, user=user)
    return User.objects.get(pk=user.pk)  # permissions are remembered on the object


def reviewer(name: str, of: Customer | None = None) -> User:
    return person(name, "review_security", "review_code", of=of)


class OwnKey:
    """A reviewer's key, as `km-review` holds it."""

    def __init__(self, user: User) -> None:
        self._private = Ed25519PrivateKey.generate()
        public = self._private.public_key().public_bytes_raw()
        self.keyid = keys.key_id(public)
        text = base64.b64encode(public).decode()
        self.row = ReviewerKey.objects.create(user=user, key_id=self.keyid, public_key=text)

    def sign(self, data: bytes) -> bytes:
        return self._private.sign(data)

    def envelope(self, statement: bytes) -> bytes:
        return dsse.sign(statement, [self])


def built(revision: Revision, platform: str = "any", *, digest: str = "ab" * 32, same: bool = True) -> PayloadBuild:
    made, _ = PayloadBuild.objects.update_or_create(  # certifying asks for builds, and some are queued already
        revision=revision,
        platform=platform,
        defaults={
            "state": "built",
            "source_sha256": revision.source_id,
            "payload_digest": digest,
            "second_build_matches": same,
        },
    )
    made.refresh_from_db()
    return made
