"""A plugin in this process, behind the same checks and the same wire format as in its own.

Events go through protobuf and back; tokens, features and settings are checked as `serve` does. What differs: no
process, no socket, and the handlers run on the calling thread, so an exception can be looked at in a debugger.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from km_plugin_sdk.admission import OwnManifest, admit, without_rights
from km_plugin_sdk.config import PluginConfig
from km_plugin_sdk.errors import PluginError
from km_plugin_sdk.events import StreamEvent, from_message, to_message
from km_plugin_sdk.plugin import Plugin
from km_plugin_sdk.testing.issuer import TokenIssuer
from km_plugin_sdk.wire import plugin_pb2

P = TypeVar("P", bound=Plugin)
CUSTOMER = "cus_test"


def config_message(
    plugin_name: str,
    *,
    features: Sequence[str] = ("console_logging",),
    tier: str = "Free",
    customer_id: str = CUSTOMER,
    custom_settings: Mapping[str, Any] | None = None,
    issuer: TokenIssuer | None = None,
    offline: bool = False,
    **fields: Any,
) -> plugin_pb2.PluginConfig:
    """The configuration a host would send, with a valid token for `features` unless `jwt` is given.

    `offline`: as while the server cannot be reached, a lease for `features` and no token.
    """
    issuer, now = issuer or TokenIssuer(), time.time()
    if offline:
        signed = {"lease": issuer.lease(customer_id=customer_id, at=now, features=features, tier=tier)}
    else:
        signed = {
            "jwt": issuer.token(plugin_name=plugin_name, customer_id=customer_id, at=now, features=features, tier=tier)
        }
    message = plugin_pb2.PluginConfig(
        plugin_name=plugin_name,
        customer_id=customer_id,
        features=features,
        tier=tier,
        **({"token_keys": issuer.jwks} | signed | fields),
    )
    message.custom_settings.update(dict(custom_settings or {}))
    return message


class Harness(Generic[P]):
    """Drives `plugin`. `manifest` is the path of its manifest.json, for required features, settings and the name."""

    def __init__(self, plugin: P, *, manifest: Path | None = None) -> None:
        self.plugin = plugin
        self.manifest = OwnManifest.read(manifest) if manifest else OwnManifest()

    def initialize(self, **given: Any) -> PluginConfig:
        """Configure and initialize; takes what `config_message` takes. What the plugin raises is raised here."""
        self.plugin.config = self._config(given)
        self.plugin.initialize(self.plugin.config)
        return self.plugin.config

    def update_config(self, **given: Any) -> PluginConfig:
        """Change features, tier, token or settings. What cannot be trusted takes all rights, and is raised here."""
        try:
            self.plugin.config = self._config(given)
        except PluginError:
            self.plugin.config = without_rights(self.plugin.config)
            self.plugin.update_config(self.plugin.config)
            raise
        self.plugin.update_config(self.plugin.config)
        return self.plugin.config

    def feed(self, events: Sequence[StreamEvent], *, batch: int = 64) -> list[tuple[int, Exception]]:
        """Hand over `events` in batches; returns (index, exception) of those that failed."""
        failures: list[tuple[int, Exception]] = []
        for start in range(0, len(events), batch):
            part = [from_message(to_message(event)) for event in events[start : start + batch]]
            failures += [(start + index, error) for index, error in self.plugin.handle_stream_events(part)]
        return failures

    def shutdown(self) -> None:
        self.plugin.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()

    def _config(self, given: dict[str, Any]) -> PluginConfig:
        message = config_message(self.manifest.name or type(self.plugin).__name__.lower(), **given)
        return admit(message, self.manifest, at=time.time())
