"""Where accepted requests wait for the drain, by setting: `KM_EVENT_LOG`.

    current()      → the `events.log.EventLog` of this installation

`inbox`, the default, is a table of the database of `KM_DATABASE_URL`; `rabbitmq` is a quorum queue in the RabbitMQ of
`KM_EVENT_LOG_URL`. Any other value is the dotted path of a class that keeps what `EventLog` promises.
"""

from __future__ import annotations

from functools import cache

from django.conf import settings
from django.utils.module_loading import import_string

from events.log import EventLog

INBOX, RABBITMQ = "inbox", "rabbitmq"
NAMED = {INBOX: "events.logs.inbox.InboxLog", RABBITMQ: "events.logs.rabbitmq.RabbitLog"}


def current() -> EventLog:
    """The log in use. Raises `ImportError` for a setting that names none: `manage.py check` says so at start."""
    return _made(path_of(settings.EVENT_LOG), settings.EVENT_LOG_URL)


def path_of(named: str) -> str:
    """The dotted path of the class that a value of the setting names."""
    return NAMED.get(named, named)


@cache
def _made(path: str, url: str | None) -> EventLog:
    log: EventLog = import_string(path)(url)
    return log
