"""Send events to the Kilometers API, and keep trying while trying can help.

    client = ApiClient(config.api_endpoint, lambda: plugin.config.jwt)
    client.send(events)          Sent(accepted=64, duplicates=0, rejected=0)

`POST /api/events` is safe to repeat: the server knows an event by its id. So a broken connection, 429, 500, 502, 503
and 504 are retried with growing, jittered pauses, or the server's own Retry-After; 413 is sent again in halves; any
other answer is final and raises `ApiError`. `send` gives up after `budget` seconds, and at once when the server asks
for a longer wait than is left (`ApiError.retry_after`). The token is asked for on every try, because the host renews it
every few minutes.
"""

from __future__ import annotations

import gzip
import http.client
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec
from km_protocol.envelope import MAX_EVENTS_PER_BATCH, EventBatch

from km_plugin_sdk.errors import ApiError
from km_plugin_sdk.events import StreamEvent, to_envelope
from km_plugin_sdk.version import __version__

TIMEOUT_SECONDS = 10.0  # longer than the p99 of a cold TLS handshake on mobile
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
COMPRESS_FROM_BYTES = 1024  # below this, gzip's header eats the gain
RETRIED = frozenset({429, 500, 502, 503, 504})
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Sent:
    """What the server did with the events."""

    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0

    def __add__(self, other: Sent) -> Sent:
        return Sent(self.accepted + other.accepted, self.duplicates + other.duplicates, self.rejected + other.rejected)


class ApiClient:
    """One kept-open connection; to be used from one thread. `token` is a string or a function that returns it."""

    def __init__(
        self,
        endpoint: str,
        token: str | Callable[[], str],
        *,
        budget: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ApiError(0, f"`{endpoint}` is not the address of an API", "such as `https://api.example.com`")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ApiError(0, f"`{endpoint}` would send the token unencrypted", "use https")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS)
        self._path = f"{parts.path.rstrip('/')}/api/events"
        self._token = token if callable(token) else lambda: token
        self._budget, self._sleep = budget, sleep

    def send(self, events: Sequence[StreamEvent]) -> Sent:
        """Returns once the server has stored them. Raises `ApiError` when it will not, or did not within `budget`."""
        sent = Sent()
        for start in range(0, len(events), MAX_EVENTS_PER_BATCH):
            sent += self._send_part(events[start : start + MAX_EVENTS_PER_BATCH])
        return sent

    def close(self) -> None:
        self._connection.close()

    def _send_part(self, events: Sequence[StreamEvent]) -> Sent:
        body = msgspec.json.encode(EventBatch([to_envelope(event) for event in events]))
        status, answer = self._deliver(body)
        if status == 413 and len(events) > 1:
            half = len(events) // 2
            return self._send_part(events[:half]) + self._send_part(events[half:])
        if status != 200:
            raise _refused(status, answer)
        return _sent(answer)

    def _deliver(self, body: bytes) -> tuple[int, bytes]:
        """The first answer that is final. Raises `ApiError` when the time is up."""
        until, pause = time.monotonic() + self._budget, FIRST_PAUSE_SECONDS
        while True:
            status, answer, wanted_pause = self._try(body)
            if status and status not in RETRIED:
                return status, answer
            wait = max(wanted_pause, random.uniform(pause / 2, pause))  # noqa: S311 - spreads clients, hides nothing
            if time.monotonic() + wait > until:
                raise _refused(status, answer, wanted_pause)
            self._sleep(wait)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _try(self, body: bytes) -> tuple[int, bytes, float]:
        headers = {
            "Authorization": f"Bearer {self._token()}",
            "Content-Type": "application/json",
            "User-Agent": f"km-plugin-sdk-python/{__version__}",
        }
        if len(body) >= COMPRESS_FROM_BYTES:
            body, headers["Content-Encoding"] = gzip.compress(body, 6), "gzip"
        try:
            self._connection.request("POST", self._path, body, headers)
            response = self._connection.getresponse()
            return response.status, response.read(), _retry_after(response.getheader("Retry-After"))
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return 0, str(error).encode(), 0.0


def _retry_after(value: str | None) -> float:
    return float(value[:9]) if value and value.isascii() and value.isdecimal() else 0.0


def _sent(answer: bytes) -> Sent:
    try:
        values = json.loads(answer)
        return Sent(values["accepted"], values.get("duplicates", 0), len(values.get("rejected", ())))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ApiError(200, "the server's answer is not one of the Kilometers API", "check the API endpoint") from None


def _refused(status: int, answer: bytes, retry_after: float = 0.0) -> ApiError:
    if not status:
        return ApiError(0, f"the API did not answer: {answer.decode(errors='replace')}", "the events were not stored")
    try:
        error = json.loads(answer)["error"]
        message, hint = f"the API answered {status}: {error['message']}", error.get("hint", "")
    except (ValueError, KeyError, TypeError, AttributeError):
        message, hint = f"the API answered {status}", "the events were not stored"
    return ApiError(status, message, hint, retry_after=retry_after)
