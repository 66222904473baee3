"""The bodies of this room's addresses, as they cross the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class AuthenticateRequest(msgspec.Struct):
    """The plugin a host is about to start. Other fields are ignored."""

    plugin_name: str
    plugin_version: str
    plugin_signature: str | None = None
    customer_id: str | None = None


class RateLimits(msgspec.Struct):
    """What the server enforces, for the customer as a whole; nulls where there is no limit."""

    events_per_day: int | None
    events_left_today: int | None


class AuthenticateAnswer(msgspec.Struct):
    """A token for the plugin, and what it may use now."""

    success: bool
    token: str
    expires_at: Moment
    expires_in: int
    authorized_features: list[str]
    rate_limits: RateLimits


class ValidateRequest(msgspec.Struct):
    """A plugin's token, shown by whoever runs the plugin. Other fields are ignored."""

    plugin_name: str
    plugin_token: str


class ValidateAnswer(msgspec.Struct):
    """Whether the token holds, and if not, why; what its customer may use now. Of the token itself, nothing."""

    valid: bool
    reason: str | None
    customer_id: str
    subscription_active: bool
    features_active: list[str]
    next_refresh: Moment
