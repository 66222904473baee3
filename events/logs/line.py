"""A connection to RabbitMQ with one channel, for one thread at a time.

    line = Line("amqp://km:secret@rabbit.internal:5672/km", breaker, prepare=lambda channel: channel.confirm_select())
    with line.held() as channel:     # connects when it must; `prepare` is called with every new channel
        channel.basic_publish(…)

Nothing here waits without an end: who cannot be reached, or does not answer in time, is a `LogUnavailable`, and for the
next seconds (`core.breaker`) at once. After any fault the connection is given up, so nobody meets half of an answer.
RabbitMQ that was restarted is noticed before the connection is used. A forked child lets go of its parent's.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from amqp import Channel, Connection
from amqp.exceptions import AMQPError
from amqp.exceptions import NotFound as AmqpNotFound

from core.breaker import Breaker
from core.errors import Unavailable, not_stored
from events.log import LogUnavailable

SCHEMES = {"amqp": 5672, "amqps": 5671}
EXCHANGE = QUEUE = "km.events"
SETTLE_SECONDS = 2.0  # once, before the first request an installation takes over; four times what it needs
CONNECT_SECONDS = 1.0  # as a load balancer would wait for a server of its own network

_FAULTS = (AMQPError, OSError)
_log = structlog.get_logger(__name__)


class Line:
    """`answer_seconds` is how long RabbitMQ may take for anything. With `heartbeat_seconds` it notices a machine that
    is gone, and whoever has the line uses it at least that often."""

    def __init__(
        self,
        url: str,
        breaker: Breaker,
        *,
        prepare: Callable[[Channel], None],
        answer_seconds: float,
        heartbeat_seconds: int = 0,
    ) -> None:
        self._url = url
        self._breaker = breaker
        self._prepare = prepare
        self._answer_seconds = answer_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._mutex = threading.Lock()
        self._connection: Connection | None = None
        self._channel: Channel | None = None
        os.register_at_fork(after_in_child=self._let_go)

    @contextmanager
    def held(self) -> Iterator[Channel]:
        """The open channel, for this thread alone. Raises `LogUnavailable`; any fault in the block becomes one."""
        if not self._url:
            raise unavailable("this process is not told `KM_EVENT_LOG_URL`")
        with self._mutex:
            if not self._breaker.allows():
                raise unavailable("RabbitMQ did not answer a moment ago")
            try:
                yield self._opened()
            except _FAULTS as error:
                self._drop()
                self._breaker.failed()
                _log.warning("log_unreachable", error=f"{type(error).__name__}: {error}")
                raise unavailable(f"RabbitMQ did not answer: {type(error).__name__}") from error
            except BaseException:
                self._drop()  # interrupted: nobody knows how far it was
                raise
            self._breaker.worked()

    def close(self) -> None:
        """Tell RabbitMQ, and forget the connection."""
        with self._mutex:
            if self._connection is not None:
                with contextlib.suppress(*_FAULTS):  # it is gone either way
                    self._connection.close()
            self._drop()

    def _opened(self) -> Channel:
        if self._connection is not None:
            self._look()
        if self._connection is None or self._channel is None:
            self._connection = connection = self._connected()
            _declare(connection)
            self._channel = channel = connection.channel()
            self._prepare(channel)
        return self._channel

    def _look(self) -> None:
        """Take note of what RabbitMQ said meanwhile; a connection it closed, or left, is dropped."""
        assert self._connection is not None
        try:
            self._connection.heartbeat_tick()
            with contextlib.suppress(TimeoutError):  # nothing more to read
                while True:
                    self._connection.drain_events(timeout=0)
        except _FAULTS:
            self._drop()

    def _connected(self) -> Connection:
        connection = Connection(
            **address_of(self._url),
            login_method="PLAIN",
            connect_timeout=CONNECT_SECONDS,
            heartbeat=self._heartbeat_seconds,
            on_blocked=_blocked,
        )
        connection.connect()
        sock: Any = connection.sock
        sock.settimeout(self._answer_seconds)
        return connection

    def _drop(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            connection.collect()

    def _let_go(self) -> None:
        """In a forked child: close the descriptor and nothing else, for the connection is the parent's."""
        self._mutex = threading.Lock()
        connection: Any = self._connection
        self._connection = self._channel = None
        transport = None if connection is None else connection._transport
        if transport is not None and transport.sock is not None:
            transport.sock.close()
            transport.sock = None  # else it would be shut down when it is collected


ARGUMENTS = {
    "x-queue-type": "quorum",  # on disk, of a majority of the nodes, before it is confirmed
    "x-overflow": "reject-publish",  # where a policy limits its length: refuse what is new, never drop what is old
}


def _declare(connection: Connection) -> None:
    """Make the queue where there is none. What is published goes to the exchange, which is there only once the queue
    is safe: RabbitMQ notes a new quorum queue in a file of its own half a second later, and when it is killed before
    that, the queue comes back without the messages it had confirmed."""
    channel = connection.channel()
    channel.queue_declare(QUEUE, durable=True, auto_delete=False, arguments=ARGUMENTS)
    try:
        channel.exchange_declare(EXCHANGE, "direct", passive=True)
    except AmqpNotFound:  # which closes the channel
        time.sleep(SETTLE_SECONDS)
        channel = connection.channel()
        channel.exchange_declare(EXCHANGE, "direct", durable=True, auto_delete=False)
    channel.queue_bind(QUEUE, EXCHANGE, routing_key=QUEUE)
    channel.close()


def address_of(url: str) -> dict[str, Any]:
    """The arguments of `amqp.Connection` for `amqp[s]://user:password@host:port/vhost`. Raises `ValueError`."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise ValueError("it is not of the form `amqp://user:password@host:5672/vhost`")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    checked = {"server_hostname": parts.hostname, "cert_reqs": ssl.CERT_REQUIRED}
    return {
        "host": f"{host}:{parts.port or SCHEMES[parts.scheme]}",
        "userid": unquote(parts.username or "guest"),
        "password": unquote(parts.password or "guest"),
        "virtual_host": unquote(parts.path[1:]) or "/",
        "ssl": checked if parts.scheme == "amqps" else False,
    }


def unavailable(message: str) -> Unavailable:
    """What a request is answered that the log did not take over."""
    return not_stored(message, LogUnavailable)


def _blocked(reason: str) -> None:
    """RabbitMQ is short of memory or disk, and reads nothing from publishers until it is not."""
    raise OSError(f"RabbitMQ takes nothing: {reason}")
