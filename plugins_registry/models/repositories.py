"""What is published: the signed metadata of each repository, its versions' counter, and the keys that sign."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from core.clock import now


class RepositoryState(models.Model):
    """A TUF repository: `catalog`, or a customer's public id. Versions come from `version`, never from the clock."""

    name = models.CharField(max_length=40, unique=True)
    version = models.PositiveBigIntegerField(default=0)
    dirty_since = models.DateTimeField(null=True, blank=True, db_index=True, help_text="Changed and not yet signed.")

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


class SigningRole(models.Model):
    """A key that signs for a role. `uri` says where the private half is; it is never here."""

    role = models.CharField(max_length=40)
    uri = models.CharField(max_length=500)
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
