"""What a host's configuration amounts to, once nothing in it is taken on trust.

Order: the token (a bad one is refused, however the host came by it), then the features (offered by the host *and*
granted by the token; without a token only the free ones), then those the manifest requires, then the settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from google.protobuf.json_format import MessageToDict
from km_protocol.errors import SettingsError
from km_protocol.kmpkg import settings

from km_plugin_sdk.config import PluginConfig
from km_plugin_sdk.errors import PluginError
from km_plugin_sdk.tokens import Claims, validate_token
from km_plugin_sdk.wire import plugin_pb2

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


def admit(message: plugin_pb2.PluginConfig, manifest: OwnManifest, *, at: float) -> PluginConfig:
    """The configuration to work with at Unix second `at`. Raises `TokenError`, `FeatureNotAvailableError`, …"""
    name = manifest.name or message.plugin_name
    claims = _claims(message, name, at) if message.jwt else None
    granted = frozenset(claims.features) if claims else FREE_FEATURES
    config = PluginConfig(
        customer_id=message.customer_id,
        api_key=message.api_key,
        api_endpoint=message.api_endpoint,
        jwt=message.jwt,
        features=frozenset(message.features) & granted,
        tier=claims.tier if claims else message.tier or "Free",
        debug=message.debug,
        log_level=message.log_level or "info",
        custom_settings=_settings(message, manifest),
        plugin_name=name,
        state_dir=Path(message.state_dir) if message.state_dir else None,
        claims=claims,
    )
    for feature in manifest.features.required:
        config.require_feature(feature)
    return config


def _claims(message: plugin_pb2.PluginConfig, name: str, at: float) -> Claims:
    return validate_token(
        message.jwt, keys=message.token_keys, plugin_name=name, customer_id=message.customer_id, at=at
    )


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
