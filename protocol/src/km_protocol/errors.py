"""The errors of this package: each has a stable `code`, what was wrong with which thing, and the next step."""

from __future__ import annotations

from typing import ClassVar


class ProtocolError(ValueError):
    """A value does not follow the contract. `str(error)` is the sentence; `hint` is the next step."""

    code: ClassVar[str] = "protocol_error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class MalformedKeyError(ProtocolError):
    """Not an API key at all, or one with a typing mistake: found without asking any server."""

    code = "malformed_api_key"


class EventError(ProtocolError):
    """One event breaks the schema or a limit."""

    code = "invalid_event"
