"""Which plugin a host says it runs, checked by the rules of a manifest.

    identify(AuthenticateRequest("api-logger", "1.0.0"))   → PluginIdentity("api-logger", "1.0.0")

Everything here is what the host says about itself: it decides what a token is called, never what it allows.
"""

from __future__ import annotations

from dataclasses import dataclass

from km_protocol.errors import VersionError
from km_protocol.kmpkg import names
from km_protocol.kmpkg.versions import Version

from plugins_registry.errors import InvalidPluginName, InvalidPluginSignature, InvalidPluginVersion
from plugins_registry.schemas import AuthenticateRequest

MAX_SIGNATURE_CHARACTERS = 4096  # a DSSE envelope of an Ed25519 signature has some 500


@dataclass(frozen=True, slots=True)
class PluginIdentity:
    """A plugin's name and version, as a manifest may spell them."""

    name: str
    version: str


def identify(asked: AuthenticateRequest) -> PluginIdentity:
    """Raises `InvalidPluginName`, `InvalidPluginVersion` or `InvalidPluginSignature`."""
    identity = PluginIdentity(checked_name(asked.plugin_name), _checked_version(asked.plugin_version))
    _check_signature(asked.plugin_signature or "")
    return identity


def checked_name(name: str) -> str:
    """`name`, which is a plugin's. Raises `InvalidPluginName`."""
    if not names.is_plugin_name(name):
        raise InvalidPluginName(
            f"`plugin_name` is {quoted(name)}, which no plugin may be called",
            f"send the `name` of its manifest: {names.HINT}",
        )
    return name


def quoted(text: str) -> str:
    """The beginning of `text` as one line of ASCII, whatever it holds."""
    return ascii(text[: names.MAX_LENGTH])


def _checked_version(version: str) -> str:
    try:
        Version.parse(version)
    except VersionError as error:
        raise InvalidPluginVersion(
            f"`plugin_version` is {quoted(version)}, which is not a semantic version", error.hint
        ) from None
    return version


def _check_signature(signature: str) -> None:
    if len(signature) > MAX_SIGNATURE_CHARACTERS or not signature.isprintable():
        raise InvalidPluginSignature(
            f"`plugin_signature` has at most {MAX_SIGNATURE_CHARACTERS} characters, all of them printable",
            "send the signature of the plugin's manifest in base64, or leave it out",
        )
