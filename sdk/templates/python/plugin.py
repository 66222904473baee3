"""What my-plugin does: it logs each tool call that took longer than the setting `slow_ms`."""

import logging

from km_plugin_sdk import Plugin, StreamEvent

LOG = logging.getLogger("my-plugin")


class MyPlugin(Plugin):
    """Handed every event, one at a time. What it logs or prints ends up in the plugin's log."""

    slow = 0  # slow calls so far

    def handle_stream_event(self, event: StreamEvent) -> None:
        if not self.has_feature("console_logging") or not event.tool or event.duration_ms is None:
            return
        if event.duration_ms > self.config.custom_settings["slow_ms"]:
            self.slow += 1
            LOG.info("%s took %.0f ms", event.tool, event.duration_ms)

    def shutdown(self) -> None:
        LOG.info("%d slow calls", self.slow)
