"""The rows of this room: rules, the incidents they opened, where to tell of them, and what was told when.

    rule ──holds──▶ incident ──▶ delivery, one for each address (the outbox) ──▶ attempts (the log)

An incident and its deliveries are written in one transaction. Incidents and deliveries hold copies of what they are
about: a rule changed or deleted later changes nothing of what was told.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from core.ids import public_id
from customers.models import Customer, Member


def new_rule_id() -> str:
    """`rul_` + 20 base62 characters."""
    return public_id("rul")


def new_incident_id() -> str:
    """`inc_` + 20 base62 characters."""
    return public_id("inc")


def new_destination_id() -> str:
    """`dst_` + 20 base62 characters."""
    return public_id("dst")


def new_message_id() -> str:
    """`msg_` + 20 base62 characters: a webhook's `webhook-id`, a letter's Message-ID."""
    return public_id("msg")


class Kind(models.TextChoices):
    """What a rule is about."""

    ERRORS = "errors", "Error rate"
    LATENCY = "latency", "Latency"
    DEFINITION = "definition", "Tool definition"
    QUOTA = "quota", "Quota"
    SILENCE = "silence", "Silence"


class Condition(models.Model):
    """What is watched: a rule has it, and an incident a copy. `threshold` is in the kind's own unit: per cent of
    requests, ms, changes, per cent of the day's quota, minutes."""

    kind = models.CharField(max_length=10, choices=Kind.choices)
    name = models.CharField(max_length=80)
    server = models.CharField(max_length=200, blank=True)
    method = models.CharField(max_length=200, blank=True)
    tool = models.CharField(max_length=200, blank=True)
    threshold = models.FloatField()
    window_minutes = models.PositiveIntegerField()
    at_least = models.PositiveIntegerField(default=1, help_text="Fewer requests than this say nothing.")

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


class Destination(models.Model):
    """Where incidents are told: members by e-mail, or one webhook. `secret` signs; it is shown when it is made, once,
    and stored sealed (`alerts.webhook_secrets`)."""

    class Channel(models.TextChoices):
        EMAIL = "email", "E-mail"
        WEBHOOK = "webhook", "Webhook"

    public_id = models.CharField(max_length=32, unique=True, default=new_destination_id, editable=False)
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="alert_destinations")
    channel = models.CharField(max_length=7, choices=Channel.choices)
    name = models.CharField(max_length=80)
    members = models.ManyToManyField(Member, blank=True, related_name="+")
    url = models.CharField(max_length=500, blank=True)
    secret = models.CharField(max_length=100, blank=True)
    previous_secret = models.CharField(max_length=100, blank=True)
    previous_until = models.DateTimeField(null=True, help_text="Until then both secrets sign.")
    disabled_at = models.DateTimeField(null=True)
    disabled_because = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return self.name


class Rule(Condition):
    """A condition that is looked at whenever it is due. Quiet hours are of the day in UTC, `quiet_from` included."""

    public_id = models.CharField(max_length=32, unique=True, default=new_rule_id, editable=False)
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="alert_rules")
    quiet_from = models.PositiveSmallIntegerField(null=True, blank=True)
    quiet_to = models.PositiveSmallIntegerField(null=True, blank=True)
    cooldown_minutes = models.PositiveIntegerField(default=30)
    enabled = models.BooleanField(default=True)
    muted_until = models.DateTimeField(null=True)
    destinations = models.ManyToManyField(Destination, blank=True, related_name="rules")
    due_at = models.DateTimeField()
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [models.Index(fields=["due_at"], name="alerts_rules_due", condition=Q(enabled=True))]


class Incident(Condition):
    """That a rule held, from `opened_at` to `resolved_at`. `value` is what was measured at first, `worst` since."""

    public_id = models.CharField(max_length=32, unique=True, default=new_incident_id, editable=False)
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="incidents")
    rule = models.ForeignKey(Rule, models.SET_NULL, null=True, related_name="incidents")
    opened_at = models.DateTimeField()
    value = models.FloatField()
    worst = models.FloatField()
    counted = models.BigIntegerField(default=0, help_text="Of how many requests, durations or events.")
    found = models.JSONField(default=list, help_text="What changed, where the rule is about definitions.")
    muted = models.BooleanField(default=False, help_text="Nobody was told.")
    calm_since = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_because = models.CharField(max_length=80, blank=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=160, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["rule"], condition=Q(resolved_at=None), name="one_open_incident_a_rule")
        ]
        indexes: ClassVar = [
            models.Index(fields=["customer"], name="alerts_incidents_open", condition=Q(resolved_at=None)),
            models.Index(fields=["rule", "resolved_at"], name="alerts_incidents_last"),
        ]


class Delivery(models.Model):
    """One message to one address: written with its incident, sent until it arrives or a day is over.

    `body` is what is sent, byte for byte, at every attempt; `public_id` is its id there, also when sent again.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DELIVERED = "delivered", "Delivered"
        FAILED = "failed", "Failed"

    class About(models.TextChoices):
        OPENED = "incident.opened", "opened"
        RESOLVED = "incident.resolved", "resolved"
        TEST = "test", "test"

    public_id = models.CharField(max_length=32, unique=True, default=new_message_id, editable=False)
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="+")
    destination = models.ForeignKey(Destination, models.CASCADE, related_name="deliveries")
    member = models.ForeignKey(Member, models.SET_NULL, null=True, related_name="+")
    incident = models.ForeignKey(Incident, models.CASCADE, null=True, related_name="deliveries")
    about = models.CharField(max_length=17, choices=About.choices)
    address = models.CharField(max_length=500)
    subject = models.CharField(max_length=200, blank=True)
    body = models.TextField()
    state = models.CharField(max_length=9, choices=State.choices, default=State.WAITING)
    tries = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(help_text="Not before this moment; a worker that has it moves it on.")
    give_up_at = models.DateTimeField()
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    asked_at = models.DateTimeField(null=True, help_text="When somebody last asked for it by hand.")

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name_plural = "deliveries"
        indexes: ClassVar = [
            models.Index(fields=["next_at"], name="alerts_deliveries_due", condition=Q(state="waiting")),
            models.Index(fields=["created_at"], name="alerts_deliveries_old"),
            models.Index(fields=["customer", "-id"], name="alerts_deliveries_log"),
        ]

    def __str__(self) -> str:
        return self.public_id


class Attempt(models.Model):
    """One try: `status` is the answer's, 0 where there was none; `error` says why. `answer` is its beginning."""

    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="attempts")
    at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=200, blank=True)
    answer = models.TextField(blank=True)
    duration_ms = models.FloatField()

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"{self.status or self.error} at {self.at}"
