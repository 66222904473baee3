"""What was submitted: a plugin, its versions, and the revisions of each, with their sources and their history.

Plugin "slow-tools" → Version "1.2.0" → Revision 1 (rejected), Revision 2 (published) → Source 3f9a0c41…
"""

from __future__ import annotations

from typing import ClassVar

from django.core.files.storage import Storage, storages
from django.db import models
from km_protocol.kmpkg import manifest as manifests
from km_protocol.kmpkg.manifest import Manifest
from km_protocol.kmpkg.names import MAX_LENGTH as MAX_NAME
from km_protocol.kmpkg.versions import MAX_LENGTH as MAX_VERSION

from core.clock import now
from core.ids import public_id
from customers.models import Customer
from plugins_registry.lifecycle import Action, State
from plugins_registry.models.append_only import AppendOnly

SHA256_DIGITS = 64
MAX_ACTOR = 160  # as the audit log's


def registry_storage() -> Storage:
    """Where sources, payloads and packages are kept: a directory, or what the settings say."""
    return storages["registry"]


def new_plugin_id() -> str:
    """`plg_` + 20 base62 characters."""
    return public_id("plg")


def new_revision_id() -> str:
    """`rev_` + 20 base62 characters."""
    return public_id("rev")


class Plugin(models.Model):
    """A plugin by its name. `owner` is null for our own; a private one exists for nobody but its owner."""

    class Visibility(models.TextChoices):
        PUBLIC = "public", "public"
        PRIVATE = "private", "private"

    public_id = models.CharField(max_length=32, unique=True, default=new_plugin_id, editable=False)
    name = models.CharField(max_length=MAX_NAME, db_index=True)
    owner = models.ForeignKey(Customer, on_delete=models.PROTECT, null=True, blank=True, related_name="plugins")
    visibility = models.CharField(max_length=7, choices=Visibility.choices, default=Visibility.PUBLIC)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering: ClassVar = ["name", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["name"], condition=models.Q(visibility="public"), name="one_public_name"),
            models.UniqueConstraint(fields=["owner", "name"], name="one_name_an_owner"),
            models.CheckConstraint(
                condition=models.Q(visibility="public") | models.Q(owner__isnull=False), name="private_has_an_owner"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Version(models.Model):
    """A plugin's version, `number` as its manifest spells it."""

    plugin = models.ForeignKey(Plugin, on_delete=models.PROTECT, related_name="versions")
    number = models.CharField(max_length=MAX_VERSION)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["plugin", "number"], name="one_version_a_number")]

    def __str__(self) -> str:
        return f"{self.plugin} {self.number}"


class Source(models.Model):
    """Source code as it was sent, named by its SHA-256 and never changed. `size` in bytes."""

    sha256 = models.CharField(max_length=SHA256_DIGITS, primary_key=True, editable=False)
    size = models.PositiveBigIntegerField(editable=False)
    file = models.FileField(storage=registry_storage, max_length=200, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return self.sha256[:12]


class Revision(models.Model):
    """One source of a version, on its way. Its state changes only through `states.transition`.

    `queued_at` orders the queue: a revision that answers a request for changes inherits it. `platforms` are those a
    payload is expected for.
    """

    class Risk(models.TextChoices):
        LOW = "low", "low"
        MEDIUM = "medium", "medium"
        HIGH = "high", "high"

    public_id = models.CharField(max_length=32, unique=True, default=new_revision_id, editable=False)
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="revisions")
    number = models.PositiveIntegerField(editable=False)
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="revisions", editable=False)
    manifest_json = models.TextField(editable=False)
    platforms = models.JSONField(default=list, editable=False)
    state = models.CharField(max_length=20, choices=State.choices, default=State.DRAFT, editable=False)
    state_since = models.DateTimeField(default=now, editable=False)
    submitted_by = models.CharField(max_length=MAX_ACTOR, editable=False)
    submitted_at = models.DateTimeField(default=now, editable=False)
    queued_at = models.DateTimeField(default=now, editable=False)
    certified_at = models.DateTimeField(null=True, blank=True, editable=False)
    risk = models.CharField(max_length=6, choices=Risk.choices, blank=True, editable=False)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["version", "number"], name="one_revision_a_number"),
            models.UniqueConstraint(fields=["version", "source"], name="one_revision_a_source"),
            models.CheckConstraint(condition=models.Q(state__in=State.values), name="revision_state_exists"),
        ]
        indexes: ClassVar = [models.Index(fields=["state", "queued_at", "id"], name="revision_queue")]
        permissions: ClassVar = [
            ("review_security", "Can decide security reviews"),
            ("review_code", "Can decide code reviews"),
            ("yank_revision", "Can quarantine, yank and restore"),
            ("block_revision", "Can block"),
            ("decide_appeal", "Can decide appeals"),
        ]

    def __str__(self) -> str:
        return f"{self.version} · {self.number}"

    @property
    def manifest(self) -> Manifest:
        """The manifest, which was valid when it was submitted."""
        return manifests.parse(self.manifest_json.encode())


class StateChange(AppendOnly):
    """A transition that happened: the revision's history, as its author may read it."""

    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="changes", editable=False)
    at = models.DateTimeField(editable=False)
    actor = models.CharField(max_length=MAX_ACTOR, editable=False)
    action = models.CharField(max_length=20, choices=Action.choices, editable=False)
    before = models.CharField(max_length=20, choices=State.choices, editable=False)
    after = models.CharField(max_length=20, choices=State.choices, editable=False)
    details = models.JSONField(default=dict, editable=False)

    class Meta:
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [models.Index(fields=["after", "at"], name="change_reached")]

    def __str__(self) -> str:
        return f"{self.before} → {self.after}"


class Notice(models.Model):
    """An e-mail about a state change, so that it is sent once. `sent_at` is null while it is being sent."""

    change = models.OneToOneField(StateChange, on_delete=models.PROTECT, related_name="notice", editable=False)
    sent_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return str(self.change)


class Block(models.Model):
    """What no laptop may run: a plugin, a version of it, or one payload.

    Soft ones stop new installations, hard ones running. Lifted, not deleted: `lifted_at`.
    """

    class Level(models.TextChoices):
        SOFT = "soft", "soft"
        HARD = "hard", "hard"

    plugin = models.ForeignKey(Plugin, on_delete=models.PROTECT, related_name="blocks")
    version = models.ForeignKey(Version, on_delete=models.PROTECT, null=True, blank=True, related_name="blocks")
    sha256 = models.CharField(max_length=SHA256_DIGITS, blank=True, help_text="Of a payload; empty: all of them.")
    level = models.CharField(max_length=4, choices=Level.choices)
    reason = models.CharField(max_length=500)
    actor = models.CharField(max_length=MAX_ACTOR)
    at = models.DateTimeField(default=now, editable=False)
    lifted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["plugin", "sha256"],
                condition=models.Q(lifted_at__isnull=True, version__isnull=True),
                name="one_block_a_plugin",
            ),
            models.UniqueConstraint(
                fields=["version", "sha256"], condition=models.Q(lifted_at__isnull=True), name="one_block_a_version"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.level} {self.version or self.plugin}"
