"""The row of a login that a machine began and a person is to confirm (RFC 8628)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from core.ids import public_id


def new_grant_id() -> str:
    """`dev_` + 20 base62 characters."""
    return public_id("dev")


class DeviceGrant(models.Model):
    """One login, from the moment a machine asked for codes until it has its key, or does not get one.

    `device_digest` is SHA-256 of the code that the machine polls with, `user_digest` HMAC-SHA-256 under the pepper of
    the one that a person types; neither code is kept. `client`, `machine`, `name`, `os` are the machine's own words,
    `address` is where it asked from. `interval` is the seconds it must wait between two polls.
    """

    public_id = models.CharField(max_length=32, unique=True, default=new_grant_id, editable=False)
    device_digest = models.CharField(max_length=64, unique=True, editable=False)
    user_digest = models.CharField(max_length=64, unique=True, editable=False)
    client = models.CharField(max_length=80, blank=True, editable=False)
    machine = models.CharField(max_length=128, blank=True, editable=False)
    name = models.CharField(max_length=80, blank=True, editable=False)
    os = models.CharField(max_length=80, blank=True, editable=False)
    address = models.CharField(max_length=45, blank=True, editable=False)
    scopes = models.JSONField(default=list, editable=False)
    interval = models.PositiveSmallIntegerField(editable=False)
    created_at = models.DateTimeField(editable=False)
    expires_at = models.DateTimeField(editable=False, db_index=True)
    polled_at = models.DateTimeField(null=True, editable=False)
    customer = models.ForeignKey("customers.Customer", on_delete=models.CASCADE, null=True, related_name="+")
    decided_by = models.CharField(max_length=160, blank=True, editable=False)
    approved_at = models.DateTimeField(null=True, editable=False)
    denied_at = models.DateTimeField(null=True, editable=False)
    redeemed_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.name or self.client or 'a machine'} · {self.public_id}"
