"""The configuration a plugin is given, from what its account may do, its manifest and the person's settings.

No API key is ever in it: a plugin has a token of its own, for itself alone, and the lease for when there is no network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from km_plugin_sdk.wire import plugin_pb2
from km_protocol.kmpkg.manifest import Manifest

from km_client.agent.plugin_seat import Seat
from km_client.entitlement.entitled import NO_ACCOUNT, Entitled

LEVELS = {"warning": "warn"}  # what the guide's plugins call it


class Access(NamedTuple):
    """What the plugin's account may do at a moment, and where. `token` is empty while there is none to be had."""

    entitled: Entitled
    token: str
    api_url: str

    @classmethod
    def of(cls, seat: Seat) -> Access:
        account, name = seat.account, seat.spec.name if seat.spec else ""
        if account is None:
            return cls(NO_ACCOUNT, "", "")
        return cls(account.now(), account.token(name), seat.api_url)

    def features(self, manifest: Manifest) -> frozenset[str]:
        """Those the plugin asked for and may use."""
        asked = {*manifest.features.required, *manifest.features.optional}
        return self.entitled.for_plugin(manifest.name) & asked

    def missing(self, manifest: Manifest) -> frozenset[str]:
        """Those it cannot do without and may not use."""
        return frozenset(manifest.features.required) - self.entitled.for_plugin(manifest.name)


def build(
    manifest: Manifest, access: Access, given: Mapping[str, object], *, debug: bool, log_level: str
) -> plugin_pb2.PluginConfig:
    """Raises `SettingsError` when `given`, the person's settings for this plugin, are not what its manifest allows."""
    entitled = access.entitled
    config = plugin_pb2.PluginConfig(
        customer_id=entitled.customer_id,
        api_endpoint=access.api_url,
        jwt=access.token,
        features=sorted(access.features(manifest)),
        tier=entitled.tier,
        debug=debug,
        log_level="debug" if debug else LEVELS.get(log_level, log_level),
        token_keys=entitled.keys,
        plugin_name=manifest.name,
        lease=entitled.lease,
    )
    config.custom_settings.update(manifest.settings(given))
    return config


def fingerprint(config: plugin_pb2.PluginConfig) -> bytes:
    """Changes when the plugin must be told. A newer lease beside a token that holds says nothing new."""
    compared = plugin_pb2.PluginConfig()
    compared.CopyFrom(config)
    if compared.jwt:
        compared.lease = ""
    return hashlib.sha256(compared.SerializeToString(deterministic=True)).digest()
