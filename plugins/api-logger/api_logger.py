"""Every message, in batches, to the Kilometers API: for hosts that do not ship events themselves.

Events wait in a bounded backlog, in memory. When the API is slower than the stream, the backlog fills and the host
feels a slow plugin; the monitored stream feels nothing. While nothing can be sent (no token because this machine is
offline, a token that was revoked, a quota that is spent, an API that is down) the oldest are dropped and counted, and
nobody waits. Without the feature `api_logging` nothing leaves the machine, whether this machine says so or the server.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from km_plugin_sdk import ApiClient, ApiError, Batcher, Plugin, PluginConfig, Sent, StreamEvent, TryLaterError

LOG = logging.getLogger("api-logger")
LAST_WORDS_SECONDS = 1.2  # of the two the host gives a plugin to end
BACKLOG_BYTES = (
    32 * 1024 * 1024
)  # of messages; a plugin may have 512 MiB, and a batch is held three times while it is sent
TOKEN_LOOK_SECONDS = 5.0  # a new token ends the pause by itself; this is for one that came at the wrong moment
OUTAGE_SECONDS = 30.0  # between two attempts of `retry_seconds`, when the server did not say
OUTAGES = frozenset({0, 429, 500, 502, 503, 504})  # no answer, too much, or not now


class ApiLogger(Plugin):
    """Pro. One connection, one batch under way at a time."""

    _batcher: Batcher[StreamEvent] | None = None
    _client: ApiClient | None = None
    _revoked = _forbidden = ""  # the token that the server answered 401 or 403 to
    _trouble = ""  # said in the log, once
    sent = rejected = withheld = 0

    def initialize(self, config: PluginConfig) -> None:
        self.update_config(config)

    def update_config(self, config: PluginConfig) -> None:
        """Start or stop sending as the feature comes and goes. What waits is sent with the token that came."""
        if config.has_feature("api_logging"):
            self._revoked = self._forbidden = ""
            if self._batcher is None:
                self._batcher = self._started(config)
            if config.jwt:
                self._batcher.resume()
            else:
                self._batcher.pause()
                self._say("there is no token, as this machine is offline: events wait here")
        elif self._batcher is not None:
            LOG.warning("api_logging is not available any more: events are not sent")
            self._stop()

    def handle_stream_event(self, event: StreamEvent) -> None:
        if self._batcher is not None:
            self._batcher.add(event)

    def handle_stream_events(self, events: Sequence[StreamEvent]) -> list[tuple[int, Exception]]:
        """A whole batch waits for room no longer than one event would: the host has a deadline."""
        if self._batcher is not None:
            self._batcher.add_all(events)
        return []

    def shutdown(self) -> None:
        self._stop()

    def _started(self, config: PluginConfig) -> Batcher[StreamEvent]:
        settings = config.custom_settings
        self._client = ApiClient(config.api_endpoint, lambda: self.config.jwt, budget=settings["retry_seconds"])
        return Batcher(
            self._send,
            size=settings["batch_size"],
            interval=settings["interval_seconds"],
            capacity=settings["backlog_events"],
            weigh=lambda event: len(event.message),
            most_weight=BACKLOG_BYTES,
        )

    def _stop(self) -> None:
        batcher, self._batcher = self._batcher, None
        if batcher is None:
            return
        left = batcher.close(LAST_WORDS_SECONDS)
        lost = left + batcher.dropped + batcher.failed
        LOG.log(
            logging.WARNING if lost or self.rejected or self.withheld else logging.INFO,
            "%d events sent, %d refused by the server, %d not allowed, %d lost (%s)",
            self.sent,
            self.rejected,
            self.withheld,
            lost,
            batcher.last_error or "no error",
        )

    # --- on the batcher's thread -------------------------------------------------------------------------------------

    def _send(self, events: Sequence[StreamEvent]) -> None:
        """Raises `TryLaterError` when the events should wait, `ApiError` when this batch will never be taken."""
        assert self._client is not None, "the batcher is made after the client"
        token = self.config.jwt
        if not token or token == self._revoked:
            raise TryLaterError(self._trouble or "there is no token", after=TOKEN_LOOK_SECONDS)
        if token == self._forbidden:
            self.withheld += len(events)
            return
        try:
            self._count(self._client.send(events))
        except ApiError as error:
            self._heed(error, token, len(events))

    def _count(self, sent: Sent) -> None:
        self.sent += sent.accepted + sent.duplicates
        self.rejected += sent.rejected
        if self._trouble:
            LOG.info("events are sent again")
            self._trouble = ""

    def _heed(self, error: ApiError, token: str, events: int) -> None:
        """What the server's answer means for this batch and those after it."""
        if error.status in OUTAGES:
            self._say(f"{error}: events wait here")
            raise TryLaterError(str(error), after=max(error.retry_after, OUTAGE_SECONDS))
        if error.status in {401, 403} and token != self.config.jwt:  # it was replaced while this was under way
            raise TryLaterError(str(error), after=0.0)
        if error.status == 401:
            self._revoked = token
            self._say(f"{error}: events wait here for another token")
            raise TryLaterError(str(error), after=TOKEN_LOOK_SECONDS)
        if error.status != 403:
            raise error
        self._forbidden = token
        self.withheld += events
        self._say(f"{error}: events are not sent until the tier or the token changes")

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            LOG.warning("%s", trouble)
            self._trouble = trouble
