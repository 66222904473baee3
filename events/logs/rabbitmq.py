"""A quorum queue of RabbitMQ as the log: a request is a message, which a majority of nodes confirms before the answer.

    message: body as it arrived; delivery_mode 2; message_id 7c9e6679-7425-40de-944b-e07fc1f90ae7; headers
             {"customer_id": 7, "received_at": "2026-11-22T12:30:00.123456+00:00", "kind": "events", "encoding": "zstd",
              "events": 98, "skipped": "7,12"}

Publishing: a whole commit group is sent, then all confirms are waited for. One that does not come in time, is negative
(a full queue), or a message that no queue took, refuses the group. Draining: a consumer holds what RabbitMQ has sent it
until the database has it, then acknowledges; what is not acknowledged comes again, here or to another worker, under the
same id. Each process has a connection for either, and one to ask how many wait.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog
from amqp import Channel, Message

from core.breaker import Breaker
from events import stores
from events.log import Batch, Entry, LogUnavailable
from events.logs.line import EXCHANGE, QUEUE, Line, unavailable
from events.models import InboxEntry

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

CONFIRM_SECONDS = 5.0  # a confirm follows an fsync on a majority of the nodes; half of what a client waits for us
ASK_SECONDS = 1.0  # a page waits for it
HEARTBEAT_SECONDS = 60  # RabbitMQ gives a silent worker's messages to another after two; longer than a slow drain
FIRST_SECONDS, MORE_SECONDS = 0.05, 0.005  # what RabbitMQ has in hand is there within a millisecond
MAX_TAKEN_BYTES = 8 * 1024 * 1024  # as `events.inbox.MAX_CLAIMED_BYTES`; the last one may go beyond

_PERSISTENT = 2
_log = structlog.get_logger(__name__)


class RabbitLog:
    """The log at `url`. Without one, in a role that is not told it, whatever is asked of it is a `LogUnavailable`."""

    def __init__(self, url: str | None) -> None:
        breaker = Breaker()
        self._publisher = _Publisher(url or "", breaker)
        self._consumer = _Consumer(url or "", breaker)
        self._asking = Line(url or "", breaker, prepare=lambda _: None, answer_seconds=ASK_SECONDS)

    def keep(self, cursor: CursorWrapper, entries: Sequence[Entry]) -> None:  # noqa: ARG002 - it is in no transaction
        self._publisher.publish([_message(entry) for entry in entries])

    def taken(self) -> AbstractContextManager[Sequence[Batch]]:
        return self._consumer.taken()

    def waiting(self) -> int | None:
        """As RabbitMQ counts: without what a worker holds to drain it."""
        try:
            with self._asking.held() as channel:
                declared: Any = channel.queue_declare(QUEUE, passive=True)
                return int(declared.message_count)
        except LogUnavailable:
            return None

    def close(self) -> None:
        for line in (self._publisher.line, self._consumer.line, self._asking):
            line.close()


class _Publisher:
    """Sends messages and counts their confirms."""

    def __init__(self, url: str, breaker: Breaker) -> None:
        self.line = Line(url, breaker, prepare=self._prepare, answer_seconds=CONFIRM_SECONDS)
        self._last = 0  # messages are numbered by channel, from 1
        self._unconfirmed: set[int] = set()
        self._refused = 0

    def publish(self, messages: Sequence[Message]) -> None:
        """Return once all of them are confirmed. Raises `LogUnavailable`."""
        with self.line.held() as channel:
            self._refused = 0
            for message in messages:
                self._last += 1
                self._unconfirmed.add(self._last)
                channel.basic_publish(message, EXCHANGE, QUEUE, mandatory=True)
            deadline = time.monotonic() + CONFIRM_SECONDS
            while self._unconfirmed:  # a message that no queue took raises as well
                channel.connection.drain_events(timeout=max(0.001, deadline - time.monotonic()))
        if self._refused:
            raise unavailable("RabbitMQ refused what it was sent: its queue is full")

    def _prepare(self, channel: Any) -> None:
        self._last = 0
        self._unconfirmed.clear()
        channel.events["basic_ack"].add(self._confirm)
        channel.events["basic_nack"].add(self._refuse)
        channel.confirm_select()

    def _confirm(self, number: int, multiple: bool) -> None:
        if multiple:
            self._unconfirmed = {each for each in self._unconfirmed if each > number}
        else:
            self._unconfirmed.discard(number)

    def _refuse(self, number: int, multiple: bool) -> None:
        self._refused += 1
        self._confirm(number, multiple)


class _Consumer:
    """Holds what RabbitMQ has sent until it is in the database."""

    def __init__(self, url: str, breaker: Breaker) -> None:
        self.line = Line(
            url, breaker, prepare=self._prepare, answer_seconds=CONFIRM_SECONDS, heartbeat_seconds=HEARTBEAT_SECONDS
        )
        self._mutex = threading.Lock()
        self._messages: deque[Any] = deque()  # of the present channel, not acknowledged

    @contextmanager
    def taken(self) -> Iterator[Sequence[Batch]]:
        with self._mutex:
            with self.line.held() as channel:
                self._receive(channel)
                batches = self._batches(channel)
            tags = [message.delivery_tag for message in self._messages]
            yield batches
            if tags:
                self._acknowledge(channel, tags)

    def _receive(self, channel: Channel) -> None:
        """Read until it is enough for one transaction, or no more is there."""
        store, connection = stores.current(), channel.connection
        events = size = counted = 0
        while counted < store.claimed_rows and events < store.claimed_events and size < MAX_TAKEN_BYTES:
            if counted < len(self._messages):
                message = self._messages[counted]
                events, size, counted = events + _events(message), size + len(message.body), counted + 1
                continue
            try:
                connection.drain_events(timeout=MORE_SECONDS if counted else FIRST_SECONDS)
            except TimeoutError:
                return

    def _batches(self, channel: Channel) -> list[Batch]:
        """Of the messages; those that nobody here has sent are rejected, which is for a policy's dead letters."""
        batches = []
        for message in list(self._messages):
            try:
                batches.append(_batch(message))
            except (KeyError, TypeError, ValueError) as error:
                _log.error("message_of_a_stranger", queue=QUEUE, error=repr(error), effect="rejected")
                self._messages.remove(message)
                channel.basic_reject(message.delivery_tag, requeue=False)
        return batches

    def _acknowledge(self, taken_of: Channel, tags: Sequence[int]) -> None:
        """On a new channel there is nothing to acknowledge: what was taken of the one before comes again."""
        with self.line.held() as channel:
            if channel is taken_of:
                channel.basic_ack(tags[-1], multiple=True)
                for _ in tags:
                    self._messages.popleft()

    def _prepare(self, channel: Channel) -> None:
        self._messages.clear()
        channel.basic_qos(0, stores.current().claimed_rows, a_global=False)
        channel.basic_consume(QUEUE, callback=self._messages.append)


def _message(entry: Entry) -> Message:
    headers = entry._asdict()
    body = headers.pop("body")
    headers["received_at"] = entry.received_at.isoformat()
    return Message(body, delivery_mode=_PERSISTENT, message_id=str(uuid.uuid4()), application_headers=headers)


def _batch(message: Any) -> Batch:
    """Raises `KeyError`, `TypeError`, `ValueError` for what `_message` has not made."""
    headers = dict(message.headers)
    moment = datetime.fromisoformat(headers.pop("received_at"))
    named = {name: headers[name] for name in Entry._fields if name not in {"received_at", "body"}}
    body = message.body if isinstance(message.body, bytes) else message.body.encode()
    entry = InboxEntry(**named, received_at=moment, retry_at=moment, body=body)
    return Batch(uuid.UUID(message.properties["message_id"]), entry)


def _events(message: Any) -> int:
    found = message.headers.get("events", 0)
    return found if isinstance(found, int) else 0
