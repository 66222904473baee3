"""The tables of this room: what was accepted and waits (`InboxEntry`), what is stored (`Event`), what is counted.

    inbox ──drain──▶ events, sessions, hourly and daily rollups, daily usage
      └──after repeated failure──▶ quarantine ──redrive──▶ inbox

`customer_id` is `customers.Customer.pk` as a plain number: a foreign key would be checked for every event, and would
tie the partitions of a later store to a table that lives elsewhere. Ids are UUIDs that lead with the event's own time
(`km_protocol.envelope.stored_id`), so the primary key both dedupes and sorts by time.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from events.definitions_models import Tool, ToolChange, ToolDefinition, ToolListPart, ToolServer  # noqa: F401


class Party(models.Model):
    """An MCP server or client as its events name it: some bytes a row here instead of some dozens in every event."""

    customer_id = models.BigIntegerField()
    name = models.CharField(max_length=200, blank=True)
    version = models.CharField(max_length=200, blank=True)
    title = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name_plural = "parties"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["customer_id", "name", "version", "title"], name="events_party_once")
        ]

    def __str__(self) -> str:
        return " ".join(filter(None, [self.title or self.name, self.version])) or "unnamed"


def party_key() -> models.ForeignKey[Party | None, Party | None]:
    """A reference that only the drain writes, from rows it has just read or added: nothing to check or to index."""
    return models.ForeignKey(Party, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+")


class Event(models.Model):
    """One message. `message` is its text byte for byte, or base64 of bytes no text column can hold (`is_base64`)."""

    pk = models.CompositePrimaryKey("customer_id", "id")
    customer_id = models.BigIntegerField()
    id = models.UUIDField()
    correlation_id = models.CharField(max_length=200, blank=True)
    timestamp = models.DateTimeField()
    type = models.CharField(max_length=12)
    direction = models.CharField(max_length=8)
    method = models.CharField(max_length=200, blank=True)
    tool = models.CharField(max_length=200, blank=True)
    session_id = models.CharField(max_length=128, blank=True)
    sequence = models.BigIntegerField(help_text="Place in the session; microseconds since 1970 when none was sent.")
    duration_ms = models.FloatField(null=True)
    is_error = models.BooleanField()
    size = models.BigIntegerField(help_text="Bytes of the whole message, also when only its beginning is kept.")
    server = party_key()
    client = party_key()
    is_base64 = models.BooleanField()
    truncated = models.BooleanField()
    message = models.TextField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["customer_id", "session_id", "sequence"], name="events_by_session"),
            models.Index(
                fields=["customer_id", "correlation_id"], name="events_by_correlation", condition=~Q(correlation_id="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.method} {self.id}"


class EventKey(models.Model):
    """That an event is stored, where the store itself has no unique key (`events.stores.keys`)."""

    pk = models.CompositePrimaryKey("customer_id", "id")
    customer_id = models.BigIntegerField()
    id = models.UUIDField()

    def __str__(self) -> str:
        return str(self.id)


class Session(models.Model):
    """One run of an MCP server under one client, summed up from its events."""

    pk = models.CompositePrimaryKey("customer_id", "session_id")
    customer_id = models.BigIntegerField()
    session_id = models.CharField(max_length=128)
    server_name = models.CharField(max_length=200, blank=True)
    server_version = models.CharField(max_length=200, blank=True)
    server_title = models.CharField(max_length=200, blank=True)
    client_name = models.CharField(max_length=200, blank=True)
    client_version = models.CharField(max_length=200, blank=True)
    client_title = models.CharField(max_length=200, blank=True)
    protocol_version = models.CharField(max_length=200, blank=True)
    started_at = models.DateTimeField()
    last_at = models.DateTimeField()
    events = models.BigIntegerField()
    requests = models.BigIntegerField()
    errors = models.BigIntegerField()
    bytes = models.BigIntegerField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["customer_id", "-started_at", "-session_id"], name="events_sessions_newest")
        ]

    def __str__(self) -> str:
        return self.session_id


class Rollup(models.Model):
    """Counts of one (server, method, tool) over one hour or day. `histogram` is `events.histogram`'s bytes."""

    pk = models.CompositePrimaryKey("customer_id", "at", "server", "method", "tool")
    customer_id = models.BigIntegerField()
    at = models.DateTimeField(help_text="The beginning of the hour or of the UTC day.")
    server = models.CharField(max_length=200, blank=True)
    method = models.CharField(max_length=200, blank=True)
    tool = models.CharField(max_length=200, blank=True)
    events = models.BigIntegerField(default=0)
    requests = models.BigIntegerField(default=0)
    errors = models.BigIntegerField(default=0)
    bytes = models.BigIntegerField(default=0)
    timed = models.BigIntegerField(default=0, help_text="Events with a duration.")
    duration_ms = models.FloatField(default=0, help_text="The sum of their durations.")
    histogram = models.BinaryField(default=b"")

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.server} {self.method} {self.tool}"


class HourlyRollup(Rollup):
    """One hour."""


class DailyRollup(Rollup):
    """One UTC day."""


class DailyUsage(models.Model):
    """What one customer sent on one UTC day of receipt. `accepted` is the quota's counter where quotas are counted in
    the database: reserved before the request is kept, given back by the drain for what turned out to be stored already.
    Where they are counted in Redis the drain alone writes it, and a counter that Redis lost begins with it."""

    pk = models.CompositePrimaryKey("customer_id", "day")
    customer_id = models.BigIntegerField()
    day = models.DateField(db_index=True)
    accepted = models.BigIntegerField(default=0)
    stored = models.BigIntegerField(default=0)
    duplicates = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0, help_text="Events turned away because the day's quota was spent.")
    bytes = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "daily usage"

    def __str__(self) -> str:
        return f"{self.customer_id} on {self.day}: {self.accepted}"


class Accepted(models.Model):
    """A request body as it arrived, and which of its events are still to be stored."""

    class Kind(models.TextChoices):
        EVENTS = "events", "events"
        BATCH = "batch", "batch of an older client"
        TELEMETRY = "telemetry", "launch"

    customer_id = models.BigIntegerField()
    received_at = models.DateTimeField()
    kind = models.CharField(max_length=9, choices=Kind.choices)
    encoding = models.CharField(max_length=8, blank=True, help_text="Of the body: blank, gzip or zstd.")
    events = models.IntegerField(help_text="How many events were accepted and counted against the quota.")
    skipped = models.TextField(blank=True, help_text="Indexes of the events not accepted, comma-separated.")
    attempts = models.SmallIntegerField(default=0)
    retry_at = models.DateTimeField(help_text="Not before this moment.")
    error = models.TextField(blank=True)
    body = models.BinaryField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.kind} of {self.events} from customer {self.customer_id}"


class InboxEntry(Accepted):
    """Acknowledged, durable, not yet stored."""

    class Meta:
        verbose_name_plural = "inbox"


class QuarantinedEntry(Accepted):
    """Acknowledged and durable, but not storable until somebody looks at `error` and puts it back."""

    quarantined_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "quarantine"


class DrainedBatch(models.Model):
    """A batch that a broker held, and that is stored or in the inbox since: one that comes again is not counted again.
    Written in the drain's own transaction; kept for as long as a broker may bring a batch a second time."""

    id = models.UUIDField(primary_key=True)
    at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name_plural = "drained batches"

    def __str__(self) -> str:
        return f"{self.id} at {self.at}"


class Heartbeat(models.Model):
    """When a long-lived part of the service last said it is alive."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField()
    pid = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.name} at {self.at}"
