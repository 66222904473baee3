"""A made-up registry: plugins on the shelf, a blocked one, a build that failed, a version in review that asks for more.

Sources and payloads are real archives in the registry's storage; every state is reached by the actions that lead to it.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from km_protocol.kmpkg import dsse, keys, package
from km_protocol.kmpkg.archive_writer import Member, write_archive

from customers.models import Customer
from plugins_registry import approvals, blocks, review, states
from plugins_registry.lifecycle import Action
from plugins_registry.models import (
    BuildState,
    CheckRun,
    CustomerBuild,
    Finding,
    PayloadBuild,
    Plugin,
    ReviewerKey,
    Revision,
    Severity,
    Source,
    Version,
)
from scripts.demo_plugins import CALM, CHECKS, EAGER, LOG, SHELF, Described

TO_REVIEW = (Action.SUBMIT, Action.VALIDATE, Action.SCAN, Action.PASS_SCAN)


class Reviewer:
    """A person with a signing key of their own, as `km-review` holds it: the same one in every run."""

    def __init__(self, user: User) -> None:
        self.user = user
        self._private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(user.username.encode()).digest())
        public = self._private.public_key().public_bytes_raw()
        self.keyid = keys.key_id(public)
        ReviewerKey.objects.create(user=user, key_id=self.keyid, public_key=base64.b64encode(public).decode())

    def sign(self, data: bytes) -> bytes:
        return self._private.sign(data)


@dataclass(frozen=True, slots=True)
class Catalog:
    """Who publishes, who reviews."""

    owners: Mapping[str, Customer]
    reviewers: Sequence[Reviewer]
    at: datetime

    def fill(self) -> None:
        for days, described in enumerate(SHELF, start=12):
            self._published(described, self.at - timedelta(days=days), CALM)
        gone = self._published(
            Described("old-faithful", "0.9.0", "Repeats what was said", "Fairwind Labs"),
            self.at - timedelta(days=60),
            CALM,
        )
        blocks.block(
            gone.version.plugin,
            self.reviewers[0].user,
            "hard",
            "sends messages to a host it does not name",
            at=self.at - timedelta(days=2),
        )
        self._failed_build()
        self._in_review()
        self._submitted()

    def _published(self, described: Described, at: datetime, code: bytes) -> Revision:
        revision = self._revision(described, at, code)
        self._walk(revision, *TO_REVIEW, at=at)
        self._checked(revision, at)
        certified = at + timedelta(hours=5)
        self._certified(revision, certified)
        payload = self._built(revision, certified)
        statement = approvals.statement_for(payload)
        for reviewer in self.reviewers:
            approvals.record_approval(revision, dsse.sign(statement, [reviewer]), at=certified + timedelta(minutes=20))
        return self._walk(revision, Action.BUILD, Action.PUBLISH, at=certified + timedelta(minutes=24))

    def _certified(self, revision: Revision, at: datetime) -> None:
        for kind, reviewer in zip(("security", "code"), self.reviewers, strict=True):
            review.decide(revision, kind, reviewer.user, "approve", "", "", at=at)
        revision.refresh_from_db()

    def _in_review(self) -> None:
        asked = Described("risk-radar", "1.2.0", "Points out calls that leave the house", "Acme Robotics", (), True)
        at = self.at - timedelta(hours=30)
        revision = self._revision(asked, at, EAGER)
        self._walk(revision, *TO_REVIEW, at=at)
        Revision.objects.filter(pk=revision.pk).update(risk="high")
        self._checked(revision, at, failed="bandit")
        self._finding(
            revision,
            "bandit",
            "B307",
            Severity.HIGH,
            11,
            "Use of possibly insecure function: eval",
            "use ast.literal_eval",
        )
        self._finding(
            revision,
            "semgrep",
            "KM112",
            Severity.MEDIUM,
            12,
            "Sends an event to a host",
            "name it in `permissions.network`",
        )

    def _submitted(self) -> None:
        at = self.at - timedelta(hours=4)
        for described in (
            Described("latency-bell", "0.1.0", "Rings when a call takes too long", "Northwind"),
            Described("prompt-diary", "0.4.0", "Keeps a diary of prompts", "Fairwind Labs"),
        ):
            revision = self._revision(described, at, CALM)
            self._walk(revision, *TO_REVIEW, at=at)
            self._checked(revision, at)

    def _failed_build(self) -> None:
        at = self.at - timedelta(hours=7)
        revision = self._revision(Described("wide-net", "0.3.0", "Groups events by host", "Northwind"), at, CALM)
        self._walk(revision, *TO_REVIEW, at=at)
        self._certified(revision, at)
        self._walk(revision, Action.APPROVE, Action.BUILD, at=at)
        steps = [
            {"name": "fetch source", "started_at": at.isoformat(), "seconds": 0.4, "ok": True},
            {"name": "resolve dependencies", "started_at": at.isoformat(), "seconds": 3.1, "ok": True},
            {"name": "install dependencies", "started_at": at.isoformat(), "seconds": 11.8, "ok": False},
        ]
        PayloadBuild.objects.update_or_create(
            revision=revision,
            platform="linux-arm64",
            defaults={"state": BuildState.FAILED, "source_sha256": revision.source_id, "steps": steps, "log": LOG},
        )
        self._walk(revision, Action.FAIL_BUILD, at=at)

    def _revision(self, described: Described, at: datetime, code: bytes) -> Revision:
        source = _source(_archive({"manifest.json": described.manifest().encode(), "main.py": code}))
        owner = self.owners[described.author]
        plugin, _ = Plugin.objects.get_or_create(name=described.name, owner=owner)
        version, _ = Version.objects.get_or_create(plugin=plugin, number=described.version)
        return Revision.objects.create(
            version=version, number=1, source=source, manifest_json=described.manifest(), platforms=["any"],
            submitted_by=f"user:{described.author.split()[0].lower()}@example.com", submitted_at=at, queued_at=at,
            state_since=at,
        )  # fmt: skip

    def _walk(self, revision: Revision, *actions: Action, at: datetime) -> Revision:
        for action in actions:
            states.transition(revision.pk, action, "system", at)
        revision.refresh_from_db()
        return revision

    def _checked(self, revision: Revision, at: datetime, *, failed: str = "") -> None:
        CheckRun.objects.bulk_create(
            CheckRun(
                revision=revision,
                check_name=name,
                state="failed" if name == failed else "passed",
                started_at=at,
                ended_at=at + timedelta(seconds=9),
            )
            for name in CHECKS
        )

    def _finding(
        self, revision: Revision, check: str, rule: str, severity: Severity, line: int, message: str, hint: str
    ) -> None:
        Finding.objects.create(
            revision=revision, check_name=check, rule=rule, severity=severity, file="main.py", line=line,
            message=message, hint=hint, fingerprint=hashlib.sha256(message.encode()).hexdigest(),
        )  # fmt: skip

    def _built(self, revision: Revision, at: datetime) -> PayloadBuild:
        """The payload as a build worker leaves it, and Acme's package of it."""
        data = _archive({package.MANIFEST: revision.manifest_json.encode(), "payload/main.py": CALM})
        digest = package.payload_digest(package.open_package(io.BytesIO(data)).listing())
        storage = PayloadBuild._meta.get_field("file").storage
        columns: dict[str, Any] = {
            "state": BuildState.BUILT,
            "source_sha256": revision.source_id,
            "payload_digest": digest,
            "file": storage.save(f"payloads/{digest}.kmpkg", ContentFile(data)),
            "second_build_matches": True,
            "built_at": at,
        }
        payload, _ = PayloadBuild.objects.update_or_create(revision=revision, platform="any", defaults=columns)
        CustomerBuild.objects.create(
            payload=payload, customer=self.owners["Acme Robotics"], state=BuildState.BUILT, built_at=at,
            sha256=hashlib.sha256(data).hexdigest(), expires_at=at + timedelta(days=180),
        )  # fmt: skip
        return PayloadBuild.objects.select_related("revision__version__plugin__owner").get(pk=payload.pk)


def _archive(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    write_archive([Member(name, lambda data=data: data, False) for name, data in files.items()], out)  # type: ignore[misc]
    return out.getvalue()


def _source(data: bytes) -> Source:
    sha256 = hashlib.sha256(data).hexdigest()
    storage = Source._meta.get_field("file").storage
    saved = storage.save(f"sources/{sha256}.zip", ContentFile(data))
    return Source.objects.get_or_create(sha256=sha256, defaults={"size": len(data), "file": saved})[0]
