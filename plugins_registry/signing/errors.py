"""What can keep this server from signing, each cause with its code and the next step."""

from __future__ import annotations

from core.errors import ApiError, Unavailable


class SignerUnreadable(Unavailable):
    """The key's file is missing, damaged, or encrypted under another passphrase; or its module cannot be reached."""

    code = "signer_unreadable"


class SignerUnsuitable(ApiError):
    """The key exists and cannot do what its role needs."""

    status, code = 409, "signer_unsuitable"


class CeremonyRefused(ApiError):
    """A step of a ceremony does not fit what came before it."""

    status, code = 409, "ceremony_refused"
