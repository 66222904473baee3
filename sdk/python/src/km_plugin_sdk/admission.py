"""What a host's configuration amounts to, once nothing in it is taken on trust.

Order: the token, or the lease that stands in for it, then the features (offered by the host *and* granted), then those
the manifest requires, then the settings. Who grants:

    token valid                                          → the token
    none, or one that was right and has expired; a lease → the lease, and the token is dropped
    none; a lease that is genuine but over, or suspended → only the free features, as for nobody at all
    none, and no lease                                   → only the free features
    anything else: forged, another's, expired without …  → refused, however the host came by it

`sdk/testdata/admission.json` has every case; this SDK and the one in Go are tested with it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
from google.protobuf.json_format import MessageToDict
from km_protocol.claims import Lease, evaluate
from km_protocol.errors import SettingsError
from km_protocol.kmpkg import settings

from km_plugin_sdk.config import PluginConfig
from km_plugin_sdk.errors import PluginError, TokenError
from km_plugin_sdk.tokens import Claims, read_lease, validate_token
from km_plugin_sdk.wire import plugin_pb2

_LOG = logging.getLogger(__name__)
FREE_FEATURES = frozenset({"console_logging"})  # the Free tier's: what a laptop that never logged in may use


class _Features(msgspec.Struct):
    required: list[str] = []


class _Configuration(msgspec.Struct):
    schema: dict[str, Any] = {}


class OwnManifest(msgspec.Struct):
    """What a plugin needs of its own manifest. `km-client plugin validate` and the host check the whole of it."""

    name: str = ""
    version: str = ""
    features: _Features = msgspec.field(default_factory=_Features)
    configuration: _Configuration = msgspec.field(default_factory=_Configuration)

    @classmethod
    def read(cls, path: Path) -> OwnManifest:
        """The manifest at `path`; an empty one when there is no such file."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except FileNotFoundError:
            return cls()
        except msgspec.DecodeError as error:
            raise PluginError(f"{path}: {error}", f"run `km-client plugin validate {path.parent}`") from None


class _Grant(NamedTuple):
    """What holds, and by what right."""

    source: Literal["token", "lease", "none"]
    features: frozenset[str]
    tier: str
    claims: Claims | None = None


def admit(message: plugin_pb2.PluginConfig, manifest: OwnManifest, *, at: float) -> PluginConfig:
    """The configuration to work with at Unix second `at`. Raises `TokenError`, `FeatureNotAvailableError`, …"""
    name = manifest.name or message.plugin_name
    grant = _grant(message, name, at)
    config = PluginConfig(
        customer_id=message.customer_id,
        api_key=message.api_key,
        api_endpoint=message.api_endpoint,
        jwt=message.jwt if grant.source == "token" else "",
        features=frozenset(message.features) & grant.features,
        tier=grant.tier,
        debug=message.debug,
        log_level=message.log_level or "info",
        custom_settings=_settings(message, manifest),
        plugin_name=name,
        state_dir=Path(message.state_dir) if message.state_dir else None,
        claims=grant.claims,
        source=grant.source,
    )
    for feature in manifest.features.required:
        config.require_feature(feature)
    return config


def _grant(message: plugin_pb2.PluginConfig, name: str, at: float) -> _Grant:
    expired = None
    if message.jwt:
        try:
            claims = validate_token(
                message.jwt, keys=message.token_keys, plugin_name=name, customer_id=message.customer_id, at=at
            )
            return _Grant("token", frozenset(claims.features), claims.tier, claims)
        except TokenError as error:
            if error.reason != "expired" or not message.lease:
                raise
            expired = error
    if message.lease:
        lease = read_lease(message.lease, keys=message.token_keys, customer_id=message.customer_id)
        if (features := lease_features(lease, name, at)) is not None:
            return _Grant("lease", features, lease.tier)
    if expired:
        raise expired
    return _Grant("none", FREE_FEATURES, message.tier or "Free")


def lease_features(lease: Lease, name: str, at: float) -> frozenset[str] | None:
    """What a genuine lease grants the plugin `name` at Unix second `at`; None when it allows nothing.

    Which machine it is for is the host's to check: a plugin in its sandbox could not tell.
    """
    verdict = evaluate(lease, at=int(at), floor=0, machine=lease.machine)
    if not verdict.allowed:
        _LOG.warning("the lease allows nothing now: %s", verdict.state.value)
        return None
    named = lease.plugins.get(name)
    beyond = verdict.features if named is None else verdict.features & frozenset(named)
    return FREE_FEATURES | beyond


def without_rights(config: PluginConfig) -> PluginConfig:
    """What is left of `config` when the one that should replace it cannot be trusted."""
    return replace(config, features=frozenset(), jwt="", claims=None, source="none")


def _settings(message: plugin_pb2.PluginConfig, manifest: OwnManifest) -> Mapping[str, Any]:
    given = {key: _whole(value) for key, value in MessageToDict(message.custom_settings).items()}
    try:
        return settings.apply(manifest.configuration.schema, given)
    except SettingsError as error:
        listed = "; ".join(map(str, error.problems))
        raise PluginError(f"settings: {listed}", "change them in km-client's configuration") from None


def _whole(value: Any) -> Any:
    """A protobuf Struct knows only doubles; 5.0 was 5 in the person's settings."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


def sentence(error: BaseException) -> str:
    """An exception as the one text a response carries: what was wrong, then the next step."""
    if isinstance(error, PluginError):
        return f"{error} ({error.hint})" if error.hint else str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
