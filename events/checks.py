"""Settings and databases this room cannot work with, refused at start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name
from django.db import connections

SHORTCUT = "events.middleware.IngestMiddleware"


@register
def shortcut_comes_first(**_: Any) -> list[CheckMessage]:
    """Anything before the shortcut is paid for by every batch of events."""
    if settings.MIDDLEWARE[:1] == [SHORTCUT]:
        return []
    return [
        Warning(
            f"`{SHORTCUT}` is not the first of MIDDLEWARE: events are accepted several times slower.",
            hint="Put it first.",
            id="events.W001",
        )
    ]


@register(Tags.database)
def database_tells_what_it_inserted(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """The drain counts what `INSERT … ON CONFLICT DO NOTHING RETURNING` returns."""
    return [
        Error(
            f"The database `{name}` does not know `INSERT … RETURNING`.",
            hint="Use SQLite 3.35 or newer, or PostgreSQL.",
            id="events.E001",
        )
        for name in databases or ()
        if not connections[name].features.can_return_columns_from_insert
    ]
