"""A registry with something to review: plugins of Acme, their revisions, findings and builds, and three reviewers.

    world = World(tmp_path); revision = world.revision(files={"main.py": b"…"}); world.to_review(revision)

Sources and payloads are real archives in the registry's storage; states are reached by `states.transition`.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from km_protocol.kmpkg import package
from km_protocol.kmpkg.archive_writer import Member, write_archive

from core.clock import now
from customers import accounts
from customers.models import Customer
from customers.models import Member as Membership
from plugins_registry import states
from plugins_registry.lifecycle import Action
from plugins_registry.models import (
    BuildState,
    CheckRun,
    Finding,
    PayloadBuild,
    Plugin,
    Revision,
    Severity,
    Source,
    Version,
)

REVIEWER_PERMISSIONS = ("review_security", "review_code", "yank_revision", "block_revision", "decide_appeal")
CODE = b"import os\n\n\ndef handle(event):\n    token = 'km_live_example'\n    eval(event.method)\n    return token\n"


def manifest(name: str = "slow-tools", version: str = "1.2.0", **changed: Any) -> dict[str, Any]:
    document = {
        "name": name,
        "version": version,
        "description": "Finds the tools that take longest",
        "author": "Acme Robotics",
        "license": "MIT",
        "runtime": "python",
        "entry": "main.py",
        "compatibility": {"kilometers_cli": ">=0.1.0"},
        "features": {"required": ["console_logging"], "optional": ["api_logging"]},
        "permissions": {"network": False, "filesystem": False, "system": False},
    }
    return document | changed


def archive(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    write_archive([Member(name, _given(data), False) for name, data in files.items()], out)
    return out.getvalue()


def _given(data: bytes) -> Callable[[], bytes]:
    return lambda: data


class World:
    """Acme, which writes plugins; Ann, Bob and Cat, who may review; Carl, who may too, and belongs to Acme."""

    def __init__(self) -> None:
        self.acme = accounts.create_customer("Acme Robotics", "pro", at=now())
        self.ann, self.bob, self.cat = (self.reviewer(name) for name in ("ann", "bob", "cat"))
        self.carl = self.reviewer("carl")
        Membership.objects.create(customer=self.acme, user=self.carl, role=Membership.Role.OWNER)

    def reviewer(self, name: str, *permissions: str) -> User:
        user = User.objects.create_user(name, password="correct horse battery staple", is_staff=True)
        codenames = permissions or REVIEWER_PERMISSIONS
        user.user_permissions.set(
            Permission.objects.filter(content_type__app_label="plugins_registry", codename__in=codenames)
        )
        return user

    def revision(
        self,
        document: Mapping[str, Any] | None = None,
        files: Mapping[str, bytes] | None = None,
        *,
        owner: Customer | None = None,
        at: datetime | None = None,
    ) -> Revision:
        """A draft."""
        described = dict(document or manifest())
        text = json.dumps(described)
        data = archive({"manifest.json": text.encode(), **(files or {"main.py": CODE})})
        source = self._source(data)
        plugin, _ = Plugin.objects.get_or_create(name=described["name"], owner=owner or self.acme)
        version, _ = Version.objects.get_or_create(plugin=plugin, number=described["version"])
        moment = at or now()
        return Revision.objects.create(
            version=version,
            number=version.revisions.count() + 1,
            source=source,
            manifest_json=text,
            platforms=["any"],
            submitted_by="key:key_0aXv9QbTn31LpEr8SdUy",
            submitted_at=moment,
            queued_at=moment,
            state_since=moment,
        )

    def _source(self, data: bytes) -> Source:
        sha256 = hashlib.sha256(data).hexdigest()
        found = Source.objects.filter(pk=sha256).first()
        if found is not None:
            return found
        storage = Source._meta.get_field("file").storage
        return Source.objects.create(
            sha256=sha256, size=len(data), file=storage.save(f"sources/{sha256}.zip", ContentFile(data))
        )

    def walk(self, revision: Revision, *actions: Action) -> Revision:
        for action in actions:
            states.transition(revision.pk, action, "system", now())
        revision.refresh_from_db()
        return revision

    def to_review(self, revision: Revision) -> Revision:
        """As far as the checks bring it, with a run of each kind."""
        self.walk(revision, Action.SUBMIT, Action.VALIDATE, Action.SCAN)
        for name, state in (("manifest", "passed"), ("bandit", "failed"), ("go vet", "not_run")):
            CheckRun.objects.create(revision=revision, check_name=name, state=state, detail=f"{name}: {state}")
        return self.walk(revision, Action.PASS_SCAN)

    def finding(self, revision: Revision, **changed: Any) -> Finding:
        columns: dict[str, Any] = {
            "check_name": "bandit",
            "rule": "B307",
            "severity": Severity.HIGH,
            "file": "main.py",
            "line": 6,
            "message": "Use of possibly insecure function: eval",
            "hint": "use ast.literal_eval",
            "fingerprint": hashlib.sha256(b"eval").hexdigest(),
        }
        return Finding.objects.create(revision=revision, **(columns | changed))

    def build(self, revision: Revision, files: Mapping[str, bytes] | None = None) -> PayloadBuild:
        """The payload as a build worker leaves it."""
        inside = {f"payload/{name}": data for name, data in (files or {"main.py": CODE}).items()}
        data = archive({package.MANIFEST: revision.manifest_json.encode(), **inside})
        digest = package.payload_digest(package.open_package(io.BytesIO(data)).listing())
        storage = PayloadBuild._meta.get_field("file").storage
        columns = {
            "state": BuildState.BUILT,
            "source_sha256": revision.source_id,
            "payload_digest": digest,
            "file": storage.save(f"payloads/{digest}.kmpkg", ContentFile(data)),
            "second_build_matches": True,
            "built_at": now(),
        }
        build, _ = PayloadBuild.objects.update_or_create(revision=revision, platform="any", defaults=columns)
        return build

    def certified(self, revision: Revision | None = None) -> Revision:
        """Through both reviews."""
        row = self.to_review(revision or self.revision())
        return self.walk(row, Action.PASS_SECURITY, Action.CERTIFY)

    def published(self, revision: Revision | None = None) -> Revision:
        return self.walk(self.certified(revision), Action.APPROVE, Action.BUILD, Action.PUBLISH)
