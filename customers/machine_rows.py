"""The row of a machine: what a client says of itself. Nothing it says decides what it may do: its key does."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from core.ids import public_id


def new_machine_id() -> str:
    """`mac_` + 20 base62 characters."""
    return public_id("mac")


class Machine(models.Model):
    """One installation of a client under one customer. `machine` is the id it made for itself and asks leases for.

    `plugins` is `[{name, version, state, reason, missing_features}, …]`, `redaction` is
    `{enabled, patterns, allowed, redacted: {kind: times}}`, and `reported_at` when it said so; an older client never
    does. `key_id` is the public id of the API key it came with last.
    """

    public_id = models.CharField(max_length=32, unique=True, default=new_machine_id, editable=False)
    customer = models.ForeignKey("customers.Customer", on_delete=models.CASCADE, related_name="machines")
    machine = models.CharField(max_length=128, editable=False)
    name = models.CharField(max_length=80, blank=True, editable=False)
    os = models.CharField(max_length=80, blank=True, editable=False)
    platform = models.CharField(max_length=40, blank=True, editable=False)
    client_version = models.CharField(max_length=40, blank=True, editable=False)
    plugins = models.JSONField(default=list, editable=False)
    redaction = models.JSONField(null=True, editable=False)
    key_id = models.CharField(max_length=32, blank=True, editable=False)
    first_seen_at = models.DateTimeField(editable=False)
    last_seen_at = models.DateTimeField(editable=False)
    reported_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering: ClassVar = ["-last_seen_at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["customer", "machine"], name="one_row_a_machine"),
        ]
        indexes: ClassVar = [models.Index(fields=["customer", "-last_seen_at"], name="machine_last_seen")]

    def __str__(self) -> str:
        return self.name or f"{self.machine[:8]}…"
