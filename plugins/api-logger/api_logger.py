"""Every message, in batches, to the Kilometers API: for hosts that do not ship events themselves.

Events wait in a bounded queue. When the API is slower than the stream, the queue fills and `handle_stream_event` waits
(the host feels a slow plugin, the monitored stream feels nothing); what finds no room in time is dropped and counted.
Without the feature `api_logging` nothing leaves the machine.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from km_plugin_sdk import ApiClient, Batcher, Plugin, PluginConfig, StreamEvent

LOG = logging.getLogger("api-logger")
LAST_WORDS_SECONDS = 1.2  # of the two the host gives a plugin to end


class ApiLogger(Plugin):
    """Pro. One connection, one batch under way at a time."""

    _batcher: Batcher[StreamEvent] | None = None
    _client: ApiClient | None = None
    rejected = 0

    def initialize(self, config: PluginConfig) -> None:
        self.update_config(config)

    def update_config(self, config: PluginConfig) -> None:
        """Start or stop sending as the feature comes and goes. A renewed token is used from the next try on."""
        if config.has_feature("api_logging"):
            if self._batcher is None:
                self._start(config)
        elif self._batcher is not None:
            LOG.warning("api_logging is not available any more: events are not sent")
            self._stop()

    def handle_stream_event(self, event: StreamEvent) -> None:
        if self._batcher is not None:
            self._batcher.add(event)

    def shutdown(self) -> None:
        self._stop()

    def _start(self, config: PluginConfig) -> None:
        settings = config.custom_settings
        self._client = ApiClient(config.api_endpoint, lambda: self.config.jwt, budget=settings["retry_seconds"])
        self._batcher = Batcher(self._send, size=settings["batch_size"], interval=settings["interval_seconds"])

    def _stop(self) -> None:
        batcher, self._batcher = self._batcher, None
        if batcher is None:
            return
        left = batcher.close(LAST_WORDS_SECONDS)
        lost = left + batcher.dropped + batcher.failed
        LOG.log(
            logging.WARNING if lost or self.rejected else logging.INFO,
            "%d events sent, %d refused by the server, %d lost (%s)",
            batcher.delivered - self.rejected,
            self.rejected,
            lost,
            batcher.last_error or "no error",
        )

    def _send(self, events: Sequence[StreamEvent]) -> None:
        assert self._client is not None, "the batcher is made after the client"
        self.rejected += self._client.send(events).rejected
