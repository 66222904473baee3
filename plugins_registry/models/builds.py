"""What was made of a revision: one payload a platform, and of each a package for every customer who may run it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from core.clock import now
from core.ids import public_id
from customers.models import Customer
from plugins_registry.models.plugins import SHA256_DIGITS, Revision, registry_storage


class BuildState(models.TextChoices):
    QUEUED = "queued", "queued"
    BUILDING = "building", "building"
    BUILT = "built", "built"
    FAILED = "failed", "failed"


def new_build_id() -> str:
    """`bld_` + 20 base62 characters."""
    return public_id("bld")


class PayloadBuild(models.Model):
    """What runs, built once a revision and platform. `steps` are `[{name, started_at, seconds, ok}, …]`."""

    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="payloads")
    platform = models.CharField(max_length=20)
    state = models.CharField(max_length=8, choices=BuildState.choices, default=BuildState.QUEUED)
    source_sha256 = models.CharField(max_length=SHA256_DIGITS)
    payload_digest = models.CharField(max_length=SHA256_DIGITS, blank=True, db_index=True)
    file = models.FileField(storage=registry_storage, max_length=200, blank=True)
    sbom = models.TextField(blank=True)
    provenance = models.TextField(blank=True)
    steps = models.JSONField(default=list, blank=True)
    log = models.TextField(blank=True)
    second_build_matches = models.BooleanField(null=True, help_text="Empty: not compared yet.")
    created_at = models.DateTimeField(default=now, editable=False)
    built_at = models.DateTimeField(null=True, blank=True)
    claimed_until = models.DateTimeField(
        null=True, blank=True, help_text="While a worker is at it; see `building.claims`."
    )

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["revision", "platform"], name="one_payload_a_platform"),
            models.CheckConstraint(
                condition=~models.Q(state="built") | ~models.Q(payload_digest=""), name="built_has_a_digest"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.revision} {self.platform}: {self.state}"


class CustomerBuild(models.Model):
    """One customer's package of a payload. `build_key_public` is the build's own Ed25519 key, raw, in base64url."""

    public_id = models.CharField(max_length=32, unique=True, default=new_build_id, editable=False)
    payload = models.ForeignKey(PayloadBuild, on_delete=models.PROTECT, related_name="customer_builds")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="plugin_builds")
    state = models.CharField(max_length=8, choices=BuildState.choices, default=BuildState.QUEUED)
    build_key_public = models.CharField(max_length=60, blank=True)
    package = models.FileField(storage=registry_storage, max_length=200, blank=True)
    sha256 = models.CharField(max_length=SHA256_DIGITS, blank=True)
    size = models.PositiveBigIntegerField(null=True, blank=True, help_text="In bytes.")
    steps = models.JSONField(default=list, blank=True)
    log = models.TextField(blank=True)
    created_at = models.DateTimeField(default=now, editable=False)
    built_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    claimed_until = models.DateTimeField(
        null=True, blank=True, help_text="While a worker is at it; see `building.claims`."
    )
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["payload", "customer"], name="one_build_a_customer"),
            models.CheckConstraint(condition=~models.Q(state="built") | ~models.Q(sha256=""), name="built_has_a_hash"),
        ]

    def __str__(self) -> str:
        return self.public_id
