"""What a plugin is configured with, after it was checked: `config.has_feature("api_logging")` can be relied on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from km_plugin_sdk.errors import FeatureNotAvailableError
from km_plugin_sdk.tokens import Claims


@dataclass(frozen=True, slots=True)
class PluginConfig:
    """The guide's configuration and what the host adds.

    `features` are those the host offers *and* `source` grants: the token; while the server cannot be reached the signed
    lease, and then there is no `jwt` to call the API with; without either, only the free ones. `custom_settings`
    passed the manifest's schema and have its defaults. `api_key` is empty unless the manifest asks for it and the
    operator allows it. `state_dir` is the one directory the plugin may write to.
    """

    customer_id: str = ""
    api_key: str = field(default="", repr=False)
    api_endpoint: str = ""
    jwt: str = field(default="", repr=False)
    features: frozenset[str] = frozenset()
    tier: str = "Free"
    debug: bool = False
    log_level: str = "info"
    custom_settings: Mapping[str, Any] = field(default_factory=dict)
    plugin_name: str = ""
    state_dir: Path | None = None
    claims: Claims | None = None  # the token's, when it is the source
    source: Literal["token", "lease", "none"] = "none"

    @property
    def offline(self) -> bool:
        """Whether the lease stands in for a token: features are granted, but nothing can be asked of the API."""
        return self.source == "lease"

    def has_feature(self, feature: str) -> bool:
        return feature in self.features

    def require_feature(self, feature: str) -> None:
        """Raises `FeatureNotAvailableError`, which says what the plugin has."""
        if feature not in self.features:
            held = ", ".join(f"`{name}`" for name in sorted(self.features)) or "none"
            raise FeatureNotAvailableError(
                f"the feature `{feature}` is not available to `{self.plugin_name or 'this plugin'}` (it has: {held})",
                f"the {self.tier} tier does not include it, or the plugin's token does not",
            )
