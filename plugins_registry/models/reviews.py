"""What was found out about a revision, by programs and by people, and who put their own key under it."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from core.clock import now
from plugins_registry.models.append_only import AppendOnly
from plugins_registry.models.plugins import MAX_ACTOR, SHA256_DIGITS, Plugin, Revision

MAX_CHECK_NAME = 60
MAX_RULE = 120


class Severity(models.TextChoices):
    INFO = "info", "info"
    LOW = "low", "low"
    MEDIUM = "medium", "medium"
    HIGH = "high", "high"
    CRITICAL = "critical", "critical"


class CheckRun(models.Model):
    """One automated check of a revision. A tool that is absent leaves `not_run`, never `passed`."""

    class State(models.TextChoices):
        NOT_RUN = "not_run", "not run"
        PASSED = "passed", "passed"
        FAILED = "failed", "failed"
        ERROR = "error", "error"

    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="check_runs")
    check_name = models.CharField(max_length=MAX_CHECK_NAME)  # `check` is Django's own on every model
    state = models.CharField(max_length=7, choices=State.choices, default=State.NOT_RUN)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    detail = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["revision", "check_name"], name="one_run_a_check")]

    def __str__(self) -> str:
        return f"{self.check_name}: {self.state}"


class Finding(models.Model):
    """What a check found, where, and what to do. `line` counts from 1; `fingerprint` outlives moved lines."""

    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="findings")
    check_name = models.CharField(max_length=MAX_CHECK_NAME)
    rule = models.CharField(max_length=MAX_RULE)
    severity = models.CharField(max_length=8, choices=Severity.choices)
    file = models.CharField(max_length=400, blank=True)
    line = models.PositiveIntegerField(null=True, blank=True)
    message = models.TextField()
    hint = models.TextField(blank=True)
    fingerprint = models.CharField(max_length=SHA256_DIGITS)
    waived = models.BooleanField(default=False)

    class Meta:
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [models.Index(fields=["rule", "fingerprint"], name="finding_identity")]

    def __str__(self) -> str:
        return f"{self.rule} {self.file}:{self.line or ''}"


class Waiver(models.Model):
    """A reviewer's word that a finding of this plugin is none, remembered for its next revisions."""

    plugin = models.ForeignKey(Plugin, on_delete=models.PROTECT, related_name="waivers")
    rule = models.CharField(max_length=MAX_RULE)
    fingerprint = models.CharField(max_length=SHA256_DIGITS)
    reason = models.CharField(max_length=500)
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["plugin", "rule", "fingerprint"], name="one_waiver_a_finding")
        ]

    def __str__(self) -> str:
        return f"{self.plugin}: {self.rule}"


class Review(models.Model):
    """A decision on a revision. `latest` is the one that counts; an appeal that was granted asks for new ones."""

    class Kind(models.TextChoices):
        SECURITY = "security", "security review"
        CODE = "code", "code review"

    class Decision(models.TextChoices):
        APPROVE = "approve", "approve"
        REQUEST_CHANGES = "request_changes", "request changes"
        REJECT = "reject", "reject"

    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="reviews")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="plugin_reviews",
        help_text="Empty: approved by rule, at low risk.",
    )
    decision = models.CharField(max_length=15, choices=Decision.choices)
    reason_code = models.CharField(max_length=40, blank=True)
    comment = models.TextField(blank=True)
    at = models.DateTimeField()
    latest = models.BooleanField(default=True)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["revision", "kind"], condition=models.Q(latest=True), name="one_latest_review_a_kind"
            ),
            models.UniqueConstraint(
                fields=["revision", "reviewer"], condition=models.Q(latest=True), name="two_reviews_two_people"
            ),
            models.CheckConstraint(
                condition=models.Q(reviewer__isnull=False) | models.Q(reason_code="automatic", decision="approve"),
                name="only_rules_have_no_face",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.decision}"


class Appeal(models.Model):
    """An author's word against a rejection, and what became of it."""

    class Outcome(models.TextChoices):
        GRANTED = "granted", "granted"
        DENIED = "denied", "denied"

    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="appeals")
    text = models.TextField()
    actor = models.CharField(max_length=MAX_ACTOR)
    at = models.DateTimeField()
    outcome = models.CharField(max_length=7, choices=Outcome.choices, blank=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    comment = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["revision"], condition=models.Q(outcome=""), name="one_open_appeal")
        ]

    def __str__(self) -> str:
        return f"{self.revision}: {self.outcome or 'open'}"


class ReviewerKey(models.Model):
    """A reviewer's own Ed25519 key: `public_key` is the raw 32 bytes in base64. The private half is never here."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="reviewer_keys")
    key_id = models.CharField(max_length=64, unique=True)
    public_key = models.CharField(max_length=60, unique=True)
    added_at = models.DateTimeField(default=now, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return self.key_id


class Approval(AppendOnly):
    """A review statement under one reviewer's own signature, for one payload. Certified anew, it is another one."""

    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="approvals", editable=False)
    platform = models.CharField(max_length=20, editable=False)
    payload_digest = models.CharField(max_length=SHA256_DIGITS, editable=False)
    statement_sha256 = models.CharField(max_length=SHA256_DIGITS, editable=False, default="")
    envelope = models.BinaryField(editable=False)
    reviewer_key = models.ForeignKey(ReviewerKey, on_delete=models.PROTECT, related_name="approvals", editable=False)
    at = models.DateTimeField(editable=False)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["revision", "platform", "statement_sha256", "reviewer_key"], name="one_approval_a_key"
            )
        ]

    def __str__(self) -> str:
        return f"{self.revision} {self.platform}: {self.reviewer_key}"
