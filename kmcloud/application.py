"""The Celery application's class: who sends a wake-up waits for the broker half a second at most, and then nobody does.

    app = Application("kmcloud")
    app.send_task("registry.publish", queue="signing")     # raises kombu's OperationalError within SEND_SECONDS

A message is sent from within requests and tasks, and is only a wake-up: a broker that hangs must not hold them up. A
worker's own connection, on which it waits for messages, has the longer timeouts of the settings.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from core.breaker import Breaker

SEND_SECONDS = 0.5  # for each step: some hundred times what one takes
_REDIS = {"socket_connect_timeout": SEND_SECONDS, "socket_timeout": SEND_SECONDS}
_AMQP = {"connect_timeout": SEND_SECONDS, "read_timeout": SEND_SECONDS, "write_timeout": SEND_SECONDS}
_OPTIONS = {"redis": _REDIS, "rediss": _REDIS, "unix": _REDIS, "amqp": _AMQP, "amqps": _AMQP, "pyamqp": _AMQP}


class Application(Celery):
    """Celery's, with patience that ends."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.breaker = Breaker()

    def connection_for_write(self, url: str | None = None, **options: Any) -> Any:
        """As Celery's, but tried once and briefly."""
        scheme = str(url or self.conf.broker_write_url).partition(":")[0]
        if scheme in _OPTIONS:
            given = options.pop("transport_options", None) or {}
            options["transport_options"] = {**_OPTIONS[scheme], "max_retries": 0, **given}
        return super().connection_for_write(url, **options)

    def send_task(self, *arguments: Any, **options: Any) -> Any:
        """As Celery's. Raises kombu's `OperationalError`, at once while the broker is known not to answer."""
        if not self.breaker.allows():
            raise OperationalError("the broker did not answer a moment ago; it is asked again soon")
        try:
            sent = super().send_task(*arguments, **options)
        except self._failures as error:
            self.breaker.failed()
            raise OperationalError(str(error)) from error
        self.breaker.worked()
        return sent

    @cached_property
    def _failures(self) -> tuple[type[BaseException], ...]:
        """What a broker that is away makes its library raise."""
        connection = self.connection_for_write()
        return (OperationalError, OSError, *connection.connection_errors, *connection.channel_errors)
