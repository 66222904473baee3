"""What can be wrong with what a client sends here, each with its own stable code."""

from __future__ import annotations

from core.errors import ApiError, TooManyRequests


class UndecodableBody(ApiError):
    """The body as a whole is not JSON of a shape this address takes."""

    status, code = 400, "invalid_body"


class InvalidEvent(ApiError):
    """The one event a request was about is refused."""

    status, code = 400, "invalid_event"


class InvalidCompression(ApiError):
    """The body is not the gzip or zstd it says it is."""

    status, code = 400, "invalid_compression"


class MethodNotAllowed(ApiError):
    status, code = 405, "method_not_allowed"


class UnsupportedEncoding(ApiError):
    status, code = 415, "unsupported_encoding"


class QuotaExceeded(TooManyRequests):
    """More events than are left of the day's quota. Nothing of the request was stored."""

    code = "quota_exceeded"
