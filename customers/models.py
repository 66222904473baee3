"""The rows of this room: who the customers are, what they may use, and what proves it.

A customer has one subscription to one tier; a tier is rows (features, quota, retention), never code. Secrets are not
here: an API key is a keyed hash, a signing key's private half is encrypted, and neither can be read back.
"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from django.conf import settings
from django.db import models

from core.clock import now
from core.ids import public_id
from customers import device_rows, machine_rows
from customers.audit_chain import GENESIS
from customers.scopes import DEFAULT_SCOPES
from customers.states import KeyState, State

Machine = machine_rows.Machine
DeviceGrant = device_rows.DeviceGrant


class Feature(models.Model):
    """Something a tier may include, such as `api_logging`."""

    code = models.SlugField(unique=True)
    name = models.CharField(max_length=80)
    description = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return self.code


class Tier(models.Model):
    """What a subscription buys. `events_per_day` is null when it is agreed by contract, on the subscription."""

    code = models.SlugField(unique=True)
    name = models.CharField(max_length=40, unique=True)
    rank = models.PositiveSmallIntegerField(default=0, help_text="Order in lists.")
    events_per_day = models.PositiveBigIntegerField(null=True, blank=True, help_text="Empty: by contract.")
    retention_days = models.PositiveIntegerField()
    features = models.ManyToManyField(Feature, blank=True, related_name="tiers")

    class Meta:
        ordering: ClassVar = ["rank", "code"]

    def __str__(self) -> str:
        return self.name


def new_customer_id() -> str:
    """`cus_` + 20 base62 characters."""
    return public_id("cus")


class Customer(models.Model):
    """Whoever owns events. `token_version` revokes all tokens when raised; `lease_seq` orders leases."""

    public_id = models.CharField(max_length=32, unique=True, default=new_customer_id, editable=False)
    name = models.CharField(max_length=120)
    token_version = models.PositiveIntegerField(default=1, editable=False)
    lease_seq = models.PositiveBigIntegerField(default=0, editable=False)
    suspended_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return self.name


class Subscription(models.Model):
    """A customer's one subscription. Its state changes only through `subscriptions.transition`."""

    customer = models.OneToOneField(Customer, on_delete=models.CASCADE, related_name="subscription")
    tier = models.ForeignKey(Tier, on_delete=models.PROTECT, related_name="subscriptions")
    state = models.CharField(max_length=10, choices=State.choices, default=State.ACTIVE, editable=False)
    state_since = models.DateTimeField(default=now, editable=False)
    trial_ends_at = models.DateTimeField(null=True, blank=True)
    events_per_day = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Agreed by contract; empty: what the tier includes."
    )

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.customer} · {self.tier} · {self.state}"


class Member(models.Model):
    """A person who may sign in for a customer."""

    class Role(models.TextChoices):
        OWNER = "owner", "owner"
        ADMIN = "admin", "admin"
        MEMBER = "member", "member"
        VIEWER = "viewer", "viewer"

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=6, choices=Role.choices, default=Role.MEMBER)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["customer", "user"], name="one_membership_each")]

    def __str__(self) -> str:
        return f"{self.user} · {self.role}"


def new_invitation_id() -> str:
    """`inv_` + 20 base62 characters."""
    return public_id("inv")


class Invitation(models.Model):
    """A letter with a link that lets one person in, once. `digest` is SHA-256 of the link's secret, in hex.

    Without `customer` it is a sign-up: whoever follows it founds a customer called `organisation`.
    """

    public_id = models.CharField(max_length=32, unique=True, default=new_invitation_id, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, null=True, related_name="invitations")
    organisation = models.CharField(max_length=120, blank=True)
    email = models.CharField(max_length=150)
    role = models.CharField(max_length=6, choices=Member.Role.choices)
    digest = models.CharField(max_length=64, editable=False)
    sent = models.PositiveSmallIntegerField(default=1, editable=False)
    invited_by = models.CharField(max_length=160, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)
    expires_at = models.DateTimeField(editable=False)
    accepted_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["customer", "email"],
                condition=models.Q(accepted_at=None, revoked_at=None),
                name="one_open_invitation_each",
            )
        ]

    def __str__(self) -> str:
        return f"{self.email} · {self.role}"


def new_key_id() -> str:
    """`key_` + 20 base62 characters."""
    return public_id("key")


def default_scopes() -> list[str]:
    """What a key gets when nobody says otherwise."""
    return [scope.value for scope in DEFAULT_SCOPES]


class ApiKey(models.Model):
    """An issued key. `digest` is HMAC-SHA-256 of it under the pepper, in hex: enough to recognise it, not to use it."""

    public_id = models.CharField(max_length=32, unique=True, default=new_key_id, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12, editable=False, help_text="The part that may be shown.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(default=default_scopes)
    created_at = models.DateTimeField(default=now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    replaced_by = models.OneToOneField(
        "self", on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="replaces"
    )

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class SigningKey(models.Model):
    """An Ed25519 key that signs tokens and leases. `private_pem` is encrypted PKCS #8, and blank once it is retired."""

    kid = models.CharField(max_length=32, unique=True, editable=False)
    state = models.CharField(max_length=9, choices=KeyState.choices, editable=False)
    public_jwk = models.JSONField(editable=False)
    private_pem = models.TextField(blank=True, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)
    activates_at = models.DateTimeField(editable=False, help_text="When it may sign.")
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)
    removes_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="Its last signature's end.")

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["state"], condition=models.Q(state=KeyState.ACTIVE), name="one_active_signing_key"
            )
        ]

    def __str__(self) -> str:
        return self.kid


class RevokedToken(models.Model):
    """A token refused before its end. The row may go once the token has expired by itself."""

    jti = models.CharField(max_length=64, unique=True)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="revoked_tokens")
    expires_at = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return self.jti


class AppendOnlyError(RuntimeError):
    """Something tried to rewrite the audit log."""


class AppendOnlyQuerySet(models.QuerySet["AuditEntry"]):
    """Rows may be added and read."""

    def update(self, **_: Any) -> NoReturn:
        raise AppendOnlyError("audit entries are never changed")

    def delete(self) -> NoReturn:
        raise AppendOnlyError("audit entries are never deleted")


class AuditChain(models.Model):
    """The end of one chain of audit entries: a customer's, or, with the empty key, that of no customer."""

    key = models.CharField(max_length=32, unique=True, blank=True, editable=False)
    entries = models.PositiveBigIntegerField(default=0, editable=False)
    head = models.CharField(max_length=64, default=GENESIS, editable=False)

    def __str__(self) -> str:
        return f"{self.key or '-'} · {self.entries}"


class AuditEntry(models.Model):
    """Who did what to which thing, written in the transaction that did it; a link of a hash chain (`audit_chain`).

    `actor` is `user:<name>`, `key:<id>`, `leak-report` or `system`; `subject` names the row: `api_key:key_0aXv…`.
    This program never changes an entry; whoever holds the database itself is kept out by the database's own means.
    """

    at = models.DateTimeField(editable=False, db_index=True)
    actor = models.CharField(max_length=160, editable=False)
    action = models.CharField(max_length=60, editable=False)
    customer_public_id = models.CharField(max_length=32, blank=True, editable=False, db_index=True)
    subject = models.CharField(max_length=160, editable=False)
    details = models.JSONField(default=dict, editable=False)
    number = models.PositiveBigIntegerField(db_default=0, editable=False, help_text="Its place in its chain, from 1.")
    previous = models.CharField(max_length=64, db_default="", editable=False)
    hash = models.CharField(max_length=64, db_default="", editable=False)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name_plural = "audit entries"
        indexes: ClassVar = [
            models.Index(fields=["customer_public_id", "number"], name="audit_chain_order"),
            models.Index(fields=["subject"], name="audit_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.subject}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise AppendOnlyError("audit entries are never changed")
        super().save(*args, **kwargs)

    def delete(self, *_: Any, **__: Any) -> NoReturn:
        raise AppendOnlyError("audit entries are never deleted")
