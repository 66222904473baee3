"""What can be wrong with whoever calls, each cause with its own stable code."""

from __future__ import annotations

from core.errors import ApiError, Forbidden, NotFound, Unauthenticated, Unavailable


class MissingCredentials(Unauthenticated):
    code = "missing_credentials"


class MalformedApiKey(Unauthenticated):
    code = "malformed_api_key"


class UnknownApiKey(Unauthenticated):
    code = "unknown_api_key"


class RevokedApiKey(Unauthenticated):
    code = "revoked_api_key"


class ExpiredApiKey(Unauthenticated):
    code = "expired_api_key"


class CustomerSuspended(Unauthenticated):
    code = "customer_suspended"


class TokenInvalid(Unauthenticated):
    """Not a token of ours: wrong algorithm, type, key, signature, audience or claims."""

    code = "invalid_token"


class WrongAlgorithm(TokenInvalid):
    """Signed by anything but EdDSA, or by nothing."""


class WrongType(TokenInvalid):
    """A lease, an identity token or something else that is no access token."""


class UnknownSigningKey(TokenInvalid):
    """Signed with a key this server does not publish, or no longer does."""


class BadSignature(TokenInvalid):
    """Changed after it was signed, or forged."""


class WrongPlugin(TokenInvalid):
    """A token for another plugin, or for none."""


class WrongCustomer(TokenInvalid):
    """A token of another customer than the one who shows it."""


class NotYetValid(TokenInvalid):
    """Issued in the future, by this server's clock."""


class TokenExpired(Unauthenticated):
    code = "expired_token"


class TokenRevoked(Unauthenticated):
    code = "revoked_token"


class MissingScope(Forbidden):
    code = "missing_scope"


class FeatureNotAvailable(Forbidden):
    """The subscription does not include it now; another tier does."""

    code = "feature_not_available"


class UnknownKeyId(NotFound):
    code = "unknown_key_id"


class KeyNotUsable(ApiError):
    """The key is already revoked, expired or replaced, so it cannot be rotated."""

    status, code = 409, "key_not_usable"


class TransitionRefused(ApiError):
    """The subscription is not in a state in which this may happen, or changed at the same moment."""

    status, code = 409, "transition_refused"


class EmailTaken(ApiError):
    status, code = 409, "email_taken"


class SigningKeyUnreadable(Unavailable):
    code = "signing_key_unreadable"


class RotationPending(ApiError):
    """A new signing key is already announced; there is no use in a second one."""

    status, code = 409, "rotation_pending"
