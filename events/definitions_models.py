"""The tables of tool definitions: what each server said its tools are, since when, and what became of it.

    ToolServer ──▶ Tool ──▶ ToolDefinition (each distinct one) ──▶ ToolChange (one that was not there before)
    ToolListPart: a page of a list, until the whole list is here

`customer_id` is `customers.Customer.pk` as a plain number, as in `events.models`. All moments are the events' own,
but for `noticed_at` and `accepted_at`, which are the service's.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class ToolServer(models.Model):
    """A server that was asked for its tools. Its row is locked by whoever writes what is beneath it."""

    customer_id = models.BigIntegerField()
    name = models.CharField(max_length=200, blank=True)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField(help_text="When it last had to do with its list of tools.")
    listed_at = models.DateTimeField(null=True, help_text="When the newest complete list began.")
    known_since = models.DateTimeField(null=True, help_text="When the oldest complete list ended.")
    announced_at = models.DateTimeField(null=True, help_text="When it last said that its list changed.")
    unread_at = models.DateTimeField(null=True, help_text="The newest list that could not be read whole.")
    unread_why = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["customer_id", "name"], name="events_toolserver_once")]

    def __str__(self) -> str:
        return self.name or "unnamed"


class Tool(models.Model):
    """A tool by its name. It is gone when its server's newest complete list is newer than `last_seen`."""

    server = models.ForeignKey(ToolServer, models.CASCADE, related_name="tools", db_index=False)
    customer_id = models.BigIntegerField()
    name = models.CharField(max_length=200)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    changed_at = models.DateTimeField(null=True, help_text="Of its newest change.")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["server", "name"], name="events_tool_once")]
        indexes: ClassVar = [models.Index(fields=["customer_id"], name="events_tools_of_customer")]

    def __str__(self) -> str:
        return self.name


class ToolDefinition(models.Model):
    """One distinct definition. `server_version`, `session_id` and `event_id` are of the message that had it first."""

    tool = models.ForeignKey(Tool, models.CASCADE, related_name="definitions", db_index=False)
    customer_id = models.BigIntegerField()
    digest = models.CharField(max_length=64, help_text="SHA-256 of the canonical JSON.")
    body = models.TextField(help_text="The canonical JSON, or the beginning of a definition too large to keep.")
    size = models.BigIntegerField(help_text="Bytes of the whole.")
    is_cut = models.BooleanField()
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    server_version = models.CharField(max_length=200, blank=True)
    session_id = models.CharField(max_length=128, blank=True)
    event_id = models.UUIDField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["tool", "digest"], name="events_tooldefinition_once")]

    def __str__(self) -> str:
        return self.digest[:12]


class ToolChange(models.Model):
    """A security event: `definition` took the place of `before`, or is a new tool's of a server that was known."""

    class Kind(models.TextChoices):
        CHANGED = "changed", "changed"
        NEW = "new", "new"

    customer_id = models.BigIntegerField()
    tool = models.ForeignKey(Tool, models.CASCADE, related_name="changes")
    definition = models.OneToOneField(ToolDefinition, models.CASCADE, related_name="change")
    before = models.ForeignKey(ToolDefinition, models.SET_NULL, null=True, related_name="+")
    kind = models.CharField(max_length=7, choices=Kind.choices)
    at = models.DateTimeField()
    noticed_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    accepted_by = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["customer_id", "noticed_at"], name="events_toolchanges_noticed"),
            models.Index(
                fields=["customer_id", "tool"], name="events_toolchanges_open", condition=Q(accepted_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tool_id} {self.kind}"


class ToolListPart(models.Model):
    """One page of a list: the question, its answer, or both. Cursors are digests; blank is none."""

    server = models.ForeignKey(ToolServer, models.CASCADE, related_name="+")
    session_id = models.CharField(max_length=128)
    correlation_id = models.CharField(max_length=200)
    is_asked = models.BooleanField()
    cursor = models.CharField(max_length=32, blank=True)
    answered_at = models.DateTimeField(null=True)
    next_cursor = models.CharField(max_length=32, blank=True)
    kept_at = models.DateTimeField(db_index=True, help_text="The service's time: it is forgotten some time after.")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["server", "session_id", "correlation_id"], name="events_toollistpart_once")
        ]

    def __str__(self) -> str:
        return f"{self.session_id} {self.correlation_id}"
