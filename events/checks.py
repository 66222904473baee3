"""Settings and databases this room cannot work with, refused at start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name
from django.db import connection, connections
from django.utils.module_loading import import_string

from events import logs
from events.logs.line import address_of
from events.stores import BY_VENDOR, CLICKHOUSE, DATABASE, path_of

LOG = "core.request_log.RequestLogMiddleware"
SHORTCUT = "events.middleware.IngestMiddleware"


@register(Tags.security)
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


@register(Tags.security)
def store_can_be_found(**_: Any) -> list[CheckMessage]:
    """A name that is none would fail at the first event."""
    if settings.EVENT_STORE == DATABASE:
        return []
    try:
        import_string(path_of(settings.EVENT_STORE))
    except ImportError as error:
        return [
            Error(
                f"`KM_EVENT_STORE` is `{settings.EVENT_STORE}`, which cannot be imported: {error}",
                hint=f"Leave it out for `{DATABASE}`, say `{CLICKHOUSE}`, or name a class by its dotted path.",
                id="events.E002",
            )
        ]
    return []


@register(Tags.security)
def clickhouse_has_an_address(**_: Any) -> list[CheckMessage]:
    """`None` is the address in a process that has no use for it."""
    if settings.EVENT_STORE != CLICKHOUSE or settings.CLICKHOUSE_URL is None:
        return []
    address = urlsplit(settings.CLICKHOUSE_URL)
    if address.scheme in {"http", "https"} and address.hostname:
        return []
    return [
        Error(
            "`KM_EVENT_STORE` is `clickhouse`, and `KM_CLICKHOUSE_URL` is no http:// or https:// address.",
            hint="Set it to https://user:password@host:8443/database.",
            id="events.E004",
        )
    ]


@register(Tags.security)
def clickhouse_stands_beside_postgresql(**_: Any) -> list[CheckMessage]:
    """SQLite has one writer, which waits for ClickHouse in every drain."""
    if settings.EVENT_STORE != CLICKHOUSE or connection.vendor == "postgresql":
        return []
    return [
        Warning(
            "`KM_EVENT_STORE` is `clickhouse`, and the database is SQLite: requests wait while ClickHouse is slow.",
            hint="Set KM_DATABASE_URL=postgres://… before events matter.",
            id="events.W003",
        )
    ]


@register(Tags.security)
def log_can_be_found(**_: Any) -> list[CheckMessage]:
    """As for the store; and RabbitMQ needs an address, and counters that do not depend on it."""
    named, url = settings.EVENT_LOG, settings.EVENT_LOG_URL
    try:
        import_string(logs.path_of(named))
    except ImportError as error:
        return [
            Error(
                f"`KM_EVENT_LOG` is `{named}`, which cannot be imported: {error}",
                hint=f"Leave it out for `{logs.INBOX}`, or name `{logs.RABBITMQ}` or a class by its dotted path.",
                id="events.E005",
            )
        ]
    return [] if named != logs.RABBITMQ else [*_address_errors(url), *_counter_errors()]


def _address_errors(url: str | None) -> Iterator[CheckMessage]:
    try:
        if url is not None:  # a role that is not told it
            address_of(url)
    except ValueError as error:
        yield Error(
            f"`KM_EVENT_LOG` is `{logs.RABBITMQ}`, but `KM_EVENT_LOG_URL` names none: {error}",
            hint="Set it, or `KM_EVENT_LOG_URL_FILE`, to amqps://user:password@host/vhost.",
            id="events.E006",
        )


def _counter_errors() -> Iterator[CheckMessage]:
    """In the database, a quota's count is given back by the drain, which cannot know of a message RabbitMQ kept and did
    not confirm whether it was ever counted. Redis's counts are read anew from what is stored."""
    if not settings.REDIS_URL:
        yield Error(
            f"`KM_EVENT_LOG` is `{logs.RABBITMQ}`, which needs Redis: quotas would be counted wrong after each fault.",
            hint="Set KM_REDIS_URL=redis://…",
            id="events.E007",
        )


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
