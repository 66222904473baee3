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


class UnknownMember(NotFound):
    code = "unknown_member"


class UnknownMachine(NotFound):
    code = "unknown_machine"


class UnknownUserCode(NotFound):
    code = "unknown_user_code"


class OtherCustomer(ApiError):
    """A form that was shown for one customer came from somebody who looks at another by now."""

    status, code = 409, "other_customer"


class PollRefused(ApiError):
    """What a machine is answered until its login is confirmed: one of RFC 8628's words, and the seconds to wait."""

    def __init__(self, word: str, interval: int | None = None) -> None:
        super().__init__(word)
        self.word, self.interval = word, interval


class LastOwner(ApiError):
    """Somebody must stay who can let others in and out."""

    status, code = 409, "last_owner"


class AlreadyMember(ApiError):
    status, code = 409, "already_member"


class UnknownInvitation(NotFound):
    code = "unknown_invitation"


class InvitationOver(ApiError):
    """Used, withdrawn, replaced by a newer letter, or too old. Which of them is nobody's business but the inviter's."""

    status, code = 410, "invitation_over"


class NotYourInvitation(Forbidden):
    """It was sent to another address than that of whoever is signed in."""

    code = "not_your_invitation"


class LetterNotSent(Unavailable):
    code = "letter_not_sent"


class AuditBroken(ApiError):
    """An entry of the audit log was changed, removed, added or moved outside this program."""

    status, code = 409, "audit_broken"
