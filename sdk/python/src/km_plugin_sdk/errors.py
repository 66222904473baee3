"""The errors of this package: each has a stable `code`, what was wrong with which thing, and the next step.

An exception that leaves `initialize` keeps the plugin from being used, and its text is shown to the person. One that
leaves `handle_stream_event` is counted and logged; the monitored stream never notices.
"""

from __future__ import annotations

import math
from typing import ClassVar


class PluginError(Exception):
    """`str(error)` is the sentence; `hint` is the next step."""

    code: ClassVar[str] = "plugin_error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class FeatureNotAvailableError(PluginError):
    """The customer's tier, or this plugin's token, does not include a feature."""

    code = "feature_not_available"


class TokenError(PluginError):
    """The plugin's token does not prove what it must. `reason` is one word per cause, such as `expired`."""

    code = "invalid_plugin_token"

    def __init__(self, reason: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.reason = reason


class ApiError(PluginError):
    """The server did not take the events. `status` is the HTTP status, 0 when there was no answer.

    `retry_after` is how many seconds the server asked to wait, 0 when it did not say.
    """

    code = "api_error"

    def __init__(self, status: int, message: str, hint: str = "", *, retry_after: float = 0.0) -> None:
        super().__init__(message, hint)
        self.status = status
        self.retry_after = retry_after


class TryLaterError(PluginError):
    """A batcher's delivery raises it: put the batch back and pause for `after` seconds, or until `resume`."""

    code = "try_later"

    def __init__(self, message: str, hint: str = "", *, after: float = math.inf) -> None:
        super().__init__(message, hint)
        self.after = after


class ServeError(PluginError):
    """The host and this plugin cannot talk to each other."""

    code = "cannot_serve"
