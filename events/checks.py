"""Settings and databases this room cannot work with, refused at start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name
from django.db import connections
from django.utils.module_loading import import_string

from events.stores import BY_VENDOR, DATABASE

LOG = "core.request_log.RequestLogMiddleware"
SHORTCUT = "events.middleware.IngestMiddleware"


@register
def shortcut_comes_first(**_: Any) -> list[CheckMessage]:
    """Anything before the shortcut, but for the log, is paid for by every batch of events."""
    if settings.MIDDLEWARE[:2] == [LOG, SHORTCUT]:
        return []
    return [
        Warning(
            f"`{SHORTCUT}` does not come right after the log in MIDDLEWARE: events are accepted several times slower.",
            hint=f"Let MIDDLEWARE begin with `{LOG}`, `{SHORTCUT}`.",
            id="events.W001",
        )
    ]


@register
def store_can_be_found(**_: Any) -> list[CheckMessage]:
    """A name that is none would fail at the first event."""
    if settings.EVENT_STORE == DATABASE:
        return []
    try:
        import_string(settings.EVENT_STORE)
    except ImportError as error:
        return [
            Error(
                f"`KM_EVENT_STORE` is `{settings.EVENT_STORE}`, which cannot be imported: {error}",
                hint=f"Leave it out for `{DATABASE}`, or name a class by its dotted path.",
                id="events.E002",
            )
        ]
    return []


@register(Tags.database)
def database_is_one_of_ours(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """The drain counts what `INSERT … ON CONFLICT DO NOTHING RETURNING` returns, and each store knows one database."""
    known = [name for name in databases or () if connections[name].vendor in BY_VENDOR]
    return [
        Error(
            f"The database `{name}` cannot hold events: it is {connections[name].display_name}"
            + (" without `INSERT … RETURNING`." if name in known else "."),
            hint="Use SQLite 3.35 or newer, or PostgreSQL.",
            id="events.E001",
        )
        for name in databases or ()
        if name not in known or not connections[name].features.can_return_columns_from_insert
    ]
