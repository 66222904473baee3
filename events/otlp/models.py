"""The tables of the export: halves of calls that wait for the other half, frozen request bodies, and sums.

`customer_id` is `customers.Customer.pk` as a plain number, as in `events.models`.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class Signal(models.TextChoices):
    """What OTLP calls a kind of telemetry; each has an address of its own."""

    TRACES = "traces", "traces"
    METRICS = "metrics", "metrics"


class Half(models.Model):
    """A request, or an answer. `pair` is the same for both; `facts` is `events.otlp.facts.Facts` as JSON."""

    pair = models.CharField(max_length=32, db_index=True)
    is_answer = models.BooleanField()
    customer_id = models.BigIntegerField()
    sequence = models.BigIntegerField()
    kept_at = models.DateTimeField(db_index=True)
    due_at = models.DateTimeField(help_text="An answer is looked at from this moment on.")
    facts = models.TextField()

    class Meta:
        verbose_name_plural = "halves"
        indexes: ClassVar = [models.Index(fields=["due_at"], name="otlp_answers_due", condition=Q(is_answer=True))]

    def __str__(self) -> str:
        return f"{'answer' if self.is_answer else 'request'} {self.pair}"


class Body(models.Model):
    """The body of one export request, protobuf, as it will be sent however often it takes."""

    signal = models.CharField(max_length=7, choices=Signal.choices)
    items = models.IntegerField(help_text="Spans, or series of a metric.")
    made_at = models.DateTimeField()
    body = models.BinaryField()

    class Meta:
        verbose_name_plural = "bodies"
        indexes: ClassVar = [models.Index(fields=["signal", "id"], name="otlp_bodies_in_order")]

    def __str__(self) -> str:
        return f"{self.items} {self.signal}"


class Destination(models.Model):
    """How far the export of one signal is: what precedes its first `Body` has arrived, or was given up (`dropped`)."""

    signal = models.CharField(max_length=7, primary_key=True, choices=Signal.choices)
    claimed_until = models.DateTimeField(null=True)
    retry_at = models.DateTimeField(null=True, help_text="Not before this moment.")
    failures = models.IntegerField(default=0, help_text="In a row.")
    error = models.TextField(blank=True)
    sent = models.BigIntegerField(default=0)
    dropped = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return self.signal


class Series(models.Model):
    """One cumulative histogram of durations in seconds. `key` is a digest of everything that names it."""

    key = models.CharField(max_length=32, primary_key=True)
    customer_id = models.BigIntegerField()
    metric = models.CharField(max_length=60)
    attributes = models.JSONField()
    started_at = models.DateTimeField()
    count = models.BigIntegerField(default=0)
    sum = models.FloatField(default=0)
    buckets = models.JSONField(default=list)

    class Meta:
        verbose_name_plural = "series"

    def __str__(self) -> str:
        return f"{self.metric} {self.attributes}"
