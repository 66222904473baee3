"""The errors of this package: each has a stable `code`, what was wrong with which thing, and the next step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class ProtocolError(ValueError):
    """A value does not follow the contract. `str(error)` is the sentence; `hint` is the next step."""

    code: str = "protocol_error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class MalformedKeyError(ProtocolError):
    """Not an API key at all, or one with a typing mistake: found without asking any server."""

    code = "malformed_api_key"


class EventError(ProtocolError):
    """One event breaks the schema or a limit."""

    code = "invalid_event"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong at one place of a document: `path` is `$.features.required[2]`, `hint` the next step."""

    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class DocumentError(ProtocolError):
    """A document with everything that is wrong with it, in the order a reader meets it."""

    code = "invalid_document"
    noun: ClassVar[str] = "the document"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        rest = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        super().__init__(f"{self.noun} is wrong at {self.problems[0]}{rest}", self.problems[0].hint)


class ManifestError(DocumentError):
    """A plugin's `manifest.json` breaks its schema."""

    code = "invalid_manifest"
    noun = "the manifest"


class SettingsError(DocumentError):
    """A plugin's custom settings break the schema in its manifest."""

    code = "invalid_settings"
    noun = "the plugin's settings"


class VersionError(ProtocolError):
    """Not a version, or not a range of versions."""

    code = "invalid_version"


class PackageError(ProtocolError):
    """A `.kmpkg` is not what it must be. `code`: the rule it breaks; `entry`: the file within it that does, if one."""

    code = "package_invalid"

    def __init__(self, code: str, message: str, hint: str = "", *, entry: str = "") -> None:
        super().__init__(f"`{entry}` {message}" if entry else message, hint)
        self.code = code
        self.entry = entry


class CanonicalError(ProtocolError):
    """A value that cannot be signed, or bytes that are not the one form of a value."""

    code = "not_canonical"


class SignatureError(ProtocolError):
    """An envelope that does not hold what it must. `code`: `envelope_invalid`, `payload_type`, `signature_invalid`,
    `signature_unknown_key`, `signatures_missing`, or what a package lacks altogether."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.code = code


class StatementError(ProtocolError):
    """A signed statement is not of the form it must have."""

    code = "statement_invalid"


class TrustError(ProtocolError):
    """A trust file, or a policy, says what cannot be."""

    code = "invalid_trust"


class SlotError(ProtocolError):
    """A program's customer slot is missing, not alone, or does not hold what it must."""

    code = "invalid_slot"
