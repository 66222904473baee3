"""The class an author subclasses. Only `handle_stream_event` must be written.

Every method runs on one thread of its own, in order, never two at once: no locks are needed, and a slow handler slows
only its own plugin. `self.config` is set before `initialize` and replaced before `update_config`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from km_plugin_sdk.config import PluginConfig
from km_plugin_sdk.events import StreamEvent


class Plugin(ABC):
    """Subclass this and hand an instance to `serve`."""

    config: PluginConfig = PluginConfig()

    def initialize(self, config: PluginConfig) -> None:  # noqa: B027 - a plugin may have nothing to prepare
        """Called once before any event. An exception keeps the plugin from being used; its text is shown."""

    @abstractmethod
    def handle_stream_event(self, event: StreamEvent) -> None:
        """One event. An exception is counted and logged, and the next event comes all the same."""

    def handle_stream_events(self, events: Sequence[StreamEvent]) -> list[tuple[int, Exception]]:
        """Many events at once; returns (index, exception) of those that failed. Override it to work on the whole."""
        failures: list[tuple[int, Exception]] = []
        for index, event in enumerate(events):
            try:
                self.handle_stream_event(event)
            except Exception as error:  # noqa: BLE001 - whatever one event does, the next one counts
                failures.append((index, error))
        return failures

    def update_config(self, config: PluginConfig) -> None:  # noqa: B027 - `self.config` is enough for most
        """The token was renewed, or features or tier changed. Called between events; the stream goes on.

        When what arrived cannot be trusted (an expired token, a required feature that is gone), `config` is the one
        before, without any feature and without a token.
        """

    def shutdown(self) -> None:  # noqa: B027 - a plugin may hold nothing
        """Write out what is held back. There are about two seconds before the process is ended."""

    def has_feature(self, feature: str) -> bool:
        return self.config.has_feature(feature)

    def require_feature(self, feature: str) -> None:
        """Raises `FeatureNotAvailableError`."""
        self.config.require_feature(feature)
