"""One server and one key: sends what is in the outbox until it is stored or refused for good. A thread of its own.

    delivery = Delivery(Destination(url, key), RefusalStore(refused_dir()), wake=loop.wake)
    delivery.start(); delivery.outbox.put(parcel); … parcel.is_settled; delivery.stop()

What `verdict.judge` says of an answer decides: stored, sent again later, sent in halves, or refused; a refused event
never stops the rest. A key that is not accepted pauses the delivery and is tried again every few minutes, or at once
when `retry_now` is called. Nothing here is remembered: what is not settled is derived again from the journals.
"""

from __future__ import annotations

import gzip
import logging
import random
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple, assert_never

import zstandard
from km_protocol.api_keys import ApiKey, display

from km_client.agent import back_off
from km_client.agent.access import Access
from km_client.agent.api import Api, UnreachableError
from km_client.agent.events import shortened
from km_client.agent.health import Health
from km_client.agent.outbox import Item, Outbox
from km_client.agent.parcel import Outgoing
from km_client.agent.refusals import Refusal, RefusalStore, Refused
from km_client.agent.verdict import (
    Forbidden,
    Invalid,
    Later,
    Stored,
    TooLarge,
    Unauthorized,
    UnknownEncoding,
    Verdict,
    judge,
)

ENCODINGS = ("zstd", "gzip", "identity")
SMALLEST_BATCH_BYTES = 64 * 1024
SHORT_MESSAGE_BYTES = 256 * 1024  # what is kept of a message that no batch can carry
PAUSE_SECONDS = 300.0  # a key may be repaired on the server; asking more often looks like guessing
_log = logging.getLogger(__name__)


class Destination(NamedTuple):
    """Where a session's events go."""

    url: str
    key: ApiKey


class Delivery:
    """The thread and what it knows of its server. `wake` is called, on its thread, whenever a parcel is settled."""

    def __init__(
        self,
        destination: Destination,
        refusals: RefusalStore,
        *,
        wake: Callable[[], None],
        delay: Callable[[int, float | None], float] = lambda failures, least: back_off.delay(
            failures, random.uniform, least
        ),
    ) -> None:
        self.outbox = Outbox()
        self.health = Health(url=destination.url, key=display(destination.key))
        self._api = Api(destination.url, destination.key)
        self._access = Access(self._api)
        self._refusals = refusals
        self._wake = wake
        self._delay = delay
        self._encodings = deque(ENCODINGS)
        self._compressor = zstandard.ZstdCompressor(level=3)
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name=f"delivery to {destination.url}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def retry_now(self) -> None:
        """Stop waiting: something changed that may help."""
        self.outbox.wake()

    def stop(self, timeout: float) -> None:
        """End after the request under way, if it answers in time; what it carried is sent again otherwise."""
        self.outbox.close()
        self._thread.join(max(0.0, timeout))
        if not self._thread.is_alive():
            self._api.close()

    def _run(self) -> None:
        while batch := self.outbox.next_batch():
            parts = deque([batch])
            while parts and not self.outbox.is_closed:
                self._deliver(parts)

    def _deliver(self, parts: deque[list[Item]]) -> None:
        """One attempt at the first part. It is replaced by its halves, taken away once settled, or left for later."""
        part = [item for item in parts.popleft() if not self._is_dropped(item)]
        if not part:
            return
        verdict = self._try(part)
        match verdict:
            case Stored():
                self._store(parts, part, verdict)
            case Later(reason, least):
                self._wait(parts, part, reason, least)
            case Unauthorized(reason) | Forbidden(reason):
                self._pause(parts, part, reason)
            case UnknownEncoding():
                self._use_next_encoding(parts, part)
            case TooLarge():
                self._make_smaller(parts, part)
            case Invalid(refusal):
                self._single_out(parts, part, refusal)
            case _:
                assert_never(verdict)

    def _try(self, part: list[Item]) -> Verdict:
        try:
            return self._attempt(part)
        except UnreachableError as error:
            return Later(str(error))
        except Exception as error:  # noqa: BLE001 - a bug must not end the thread that everything waits for
            _log.exception("a batch of %d events could not be sent", len(part))
            return Later(f"the agent failed: {error!r}; see agent.log")

    def _attempt(self, part: list[Item]) -> Verdict:
        verdict = self._post(part)
        if isinstance(verdict, Unauthorized):
            self._access.forget()  # it may have been revoked or its key rotated: one new token, then believe it
            verdict = self._post(part)
        return verdict

    def _post(self, part: list[Item]) -> Verdict:
        token = self._access.token()
        if not isinstance(token, str):
            return token
        answer = self._api.post_events(self._encoded(part), self._encodings[0], token)
        return judge(answer, sent=len(part), now=datetime.now(UTC))

    def _encoded(self, part: list[Item]) -> bytes:
        body = b'{"events":[' + b",".join(item.event.body for item in part) + b"]}"
        if self._encodings[0] == "zstd":
            return self._compressor.compress(body)
        return gzip.compress(body, 3) if self._encodings[0] == "gzip" else body

    def _store(self, parts: deque[list[Item]], part: list[Item], stored: Stored) -> None:
        refused = [(part[index], refusal) for index, refusal in stored.refused.items()]
        if not self._keep_refused(refused):
            self._wait(parts, part, "refused events cannot be written down: is the disk full?", None)
            return
        self.health.delivered(len(part) - len(refused), stored.duplicates, at=datetime.now(UTC))
        self._failures = 0
        self._settle(part)

    def _wait(self, parts: deque[list[Item]], part: list[Item], reason: str, least: float | None) -> None:
        parts.appendleft(part)
        self._failures += 1
        seconds = self._delay(self._failures, least)
        self.health.waits(reason, seconds, at=datetime.now(UTC))
        self._wake()
        self.outbox.pause(seconds)

    def _pause(self, parts: deque[list[Item]], part: list[Item], reason: str) -> None:
        parts.appendleft(part)
        self._access.forget()
        self.health.pauses(reason, at=datetime.now(UTC))
        self._wake()
        self.outbox.pause(PAUSE_SECONDS)

    def _use_next_encoding(self, parts: deque[list[Item]], part: list[Item]) -> None:
        if len(self._encodings) == 1:
            self._wait(parts, part, "the server reads no encoding of ours: is it a Kilometers server?", None)
            return
        self._encodings.popleft()
        parts.appendleft(part)

    def _make_smaller(self, parts: deque[list[Item]], part: list[Item]) -> None:
        """Halve the batch and those after it; shorten, then refuse, a single event."""
        self.outbox.batch_bytes = max(SMALLEST_BATCH_BYTES, min(self.outbox.batch_bytes, _size(part)) // 2)
        if len(part) > 1:
            self._halve(parts, part)
            return
        item = part[0]
        short = shortened(item.event.body, SHORT_MESSAGE_BYTES)
        if short is not item.event.body:
            parts.appendleft([item._replace(event=Outgoing(item.event.event_id, short), full=item.event)])
            return
        refusal = Refusal("", "too_large", f"the server takes no event of {len(short)} bytes", "raise its body limit")
        self._refuse(parts, item, refusal)

    def _single_out(self, parts: deque[list[Item]], part: list[Item], refusal: Refusal) -> None:
        """Find the event that makes a batch unreadable by halving; alone, it is refused."""
        if len(part) > 1:
            self._halve(parts, part)
        else:
            self._refuse(parts, part[0], refusal)

    def _halve(self, parts: deque[list[Item]], part: list[Item]) -> None:
        middle = len(part) // 2
        parts.extendleft((part[middle:], part[:middle]))

    def _refuse(self, parts: deque[list[Item]], item: Item, refusal: Refusal) -> None:
        if self._keep_refused([(item, refusal)]):
            self._settle([item])
        else:
            self._wait(parts, [item], "a refused event cannot be written down: is the disk full?", None)

    def _keep_refused(self, refused: list[tuple[Item, Refusal]]) -> bool:
        """Whether every refused event is written down."""
        now = datetime.now(UTC)
        try:
            for item, refusal in refused:
                kept = Refusal(item.event.event_id, refusal.code, refusal.message, refusal.hint)
                new = self._refusals.keep(item.parcel.run, [Refused(kept, item.full.body)], at=now)
                self.health.refuses(new, refusal.message)
        except OSError:
            return False
        return True

    def _settle(self, items: list[Item]) -> None:
        for item in items:
            item.parcel.unsettled -= 1
        self.outbox.settled(items)
        self._wake()

    def _is_dropped(self, item: Item) -> bool:
        if item.parcel.dropped:
            self.outbox.settled([item])
        return item.parcel.dropped


def _size(part: list[Item]) -> int:
    return sum(len(item.event.body) for item in part)
