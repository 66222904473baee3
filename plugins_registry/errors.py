"""What can be wrong with how a host names a plugin, each cause with its own stable code."""

from __future__ import annotations

from core.errors import ApiError, Forbidden


class InvalidPluginName(ApiError):
    status, code = 400, "invalid_plugin_name"


class InvalidPluginVersion(ApiError):
    status, code = 400, "invalid_plugin_version"


class InvalidPluginSignature(ApiError):
    status, code = 400, "invalid_plugin_signature"


class CustomerMismatch(Forbidden):
    """The host believes to run for another customer than the one whose key it sent."""

    code = "customer_mismatch"


class TransitionRefused(ApiError):
    """What was asked is not possible in the revision's state."""

    status, code = 409, "transition_refused"
