"""What crosses the wire when a machine logs in by a code: camelCase for existing clients, snake_case for RFC 8628."""

from __future__ import annotations

from typing import Annotated

import msgspec

from customers.schemas import Moment

Text = Annotated[str, msgspec.Meta(max_length=200)]


class StartRequest(msgspec.Struct):
    """Who asks, in its own words; all of it may be left out or null, and other fields are ignored."""

    clientId: Text | None = None
    clientName: Text | None = None
    machine: Text | None = None
    machineName: Text | None = None
    os: Text | None = None
    scopes: Annotated[list[Text], msgspec.Meta(max_length=20)] | None = None


class DeviceCodes(msgspec.Struct):
    """Two codes: `deviceCode` is the machine's secret, `userCode` what a person confirms at `verificationUri`."""

    deviceCode: str
    userCode: str
    verificationUri: str
    verificationUriComplete: str
    expiresIn: int
    interval: int


class PollRequest(msgspec.Struct):
    deviceCode: Text


class PollToken(msgspec.Struct):
    accessToken: str
    accessTokenExpiresAt: Moment
    tokenType: str


class PollAnswer(msgspec.Struct):
    """`accessToken` is an API key of the kind `inst`, good for this machine until it is revoked or ends."""

    token: PollToken


class PollRefusal(msgspec.Struct, omit_defaults=True):
    """`authorization_pending`, `slow_down`, `access_denied` or `expired_token`; `interval` is in seconds."""

    error: str
    interval: int | None = None
    error_description: str = ""


class DeviceAuthorization(msgspec.Struct):
    """RFC 8628 §3.2."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int


class OAuthToken(msgspec.Struct):
    """RFC 6749 §5.1."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str


class OAuthRefusal(msgspec.Struct, omit_defaults=True):
    """RFC 6749 §5.2."""

    error: str
    error_description: str | msgspec.UnsetType = msgspec.UNSET


class LoggedOut(msgspec.Struct):
    """`revoked` is false for a key that was issued by hand."""

    revoked: bool
    success: bool = True
