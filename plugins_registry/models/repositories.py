"""What is published: the signed metadata of each repository, its versions' counters, and the keys that sign."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from core.clock import now


class RepositoryState(models.Model):
    """A TUF repository: `catalog`, or a customer's public id. Versions come from its counters, never from the clock.

    `version` is that of its targets and snapshot, `timestamp_version` of its timestamp, which is signed more often.
    `changes_at` is when, by the clock alone, something in it ends: a trial, a grace, a package.
    """

    name = models.CharField(max_length=40, unique=True)
    version = models.PositiveBigIntegerField(default=0)
    timestamp_version = models.PositiveBigIntegerField(default=0)
    dirty_since = models.DateTimeField(null=True, blank=True, db_index=True, help_text="Changed and not yet signed.")
    published_at = models.DateTimeField(null=True, blank=True, db_index=True)
    changes_at = models.DateTimeField(null=True, blank=True, db_index=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class MetadataFile(models.Model):
    """One file of a repository as it is served, such as `12.targets.json`. `version` is that of its role."""

    repository = models.ForeignKey(RepositoryState, on_delete=models.CASCADE, related_name="files")
    path = models.CharField(max_length=120)
    version = models.PositiveBigIntegerField()
    bytes = models.BinaryField()
    at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["path"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["repository", "path"], name="one_file_a_path")]

    def __str__(self) -> str:
        return f"{self.repository}/{self.path}"


class ReleaseDraft(models.Model):
    """The next version of a role that reviewers sign with their own keys. `unsigned` is metadata without signatures."""

    repository = models.ForeignKey(RepositoryState, on_delete=models.CASCADE, related_name="drafts")
    role = models.CharField(max_length=40)
    version = models.PositiveBigIntegerField()
    unsigned = models.BinaryField()
    created_at = models.DateTimeField(default=now, editable=False)
    completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["repository", "role"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["repository", "role", "version"], name="one_draft_a_version")
        ]

    def __str__(self) -> str:
        return f"{self.repository}/{self.version}.{self.role}"


class ReleaseSignature(models.Model):
    """One reviewer's signature under a draft: `signature` is raw."""

    draft = models.ForeignKey(ReleaseDraft, on_delete=models.CASCADE, related_name="signatures")
    key_id = models.CharField(max_length=64)
    signature = models.BinaryField()
    at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["draft", "key_id"], name="one_signature_a_key")]

    def __str__(self) -> str:
        return f"{self.draft}: {self.key_id}"


class SigningRole(models.Model):
    """A key that signs for a role. `uri` says where the private half is; it is never here. Offline keys have none."""

    role = models.CharField(max_length=40)
    uri = models.CharField(max_length=500, blank=True)
    key_id = models.CharField(max_length=64)
    public = models.JSONField(help_text="The public key as securesystemslib writes it.")
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=now, editable=False)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["role", "id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["role", "key_id"], name="one_key_a_role")]

    def __str__(self) -> str:
        return f"{self.role}: {self.key_id}"
