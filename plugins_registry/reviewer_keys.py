"""Reviewers' own keys: whose they are, proved by signing, and who asks, proved the same way with every request.

    challenge(user)                                          "eyJ…:1vMxQ2:…", which the console shows; 15 minutes
    register(challenge, public_key, signature, at=moment)    ReviewerKey, from the machine that holds the key
    asking(request, at=moment)                               ReviewerKey, of a request that `km-review` signed

A challenge names its person and the newest of that person's keys, so it registers one key and is void then. The private
half is never sent, and there is no field that would take it.
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.core import signing
from django.core.exceptions import RequestDataTooBig
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from km_protocol import reviewing
from km_protocol.kmpkg import keys

from core.errors import ApiError, Forbidden, InvalidRequest, PayloadTooLarge, Unauthenticated
from customers import audit
from plugins_registry.models import ReviewerKey

CHALLENGE_GOOD_FOR = timedelta(minutes=15)  # to find the laptop with the key, and to type its passphrase
MAX_KEYS = 5  # in use at once, of one person: a laptop, a hardware key, and their successors
REVIEW_PERMISSIONS = ("plugins_registry.review_security", "plugins_registry.review_code")
_SALT = "plugins_registry.reviewer_keys"


class BadChallenge(InvalidRequest):
    code = "bad_challenge"


class KeyTaken(ApiError):
    status, code = 409, "key_taken"


class BadProof(Unauthenticated):
    code = "bad_proof"


class NoReviewer(Forbidden):
    code = "not_a_reviewer"


def is_reviewer(user: User) -> bool:
    """Whether this person may decide reviews of some kind, and so may hold a key."""
    return user.is_active and user.is_staff and any(user.has_perm(permission) for permission in REVIEW_PERMISSIONS)


def challenge(user: User) -> str:
    """What `user` hands to the machine that holds the new key."""
    return signing.dumps({"user": user.pk, "newest": _newest(user)}, salt=_SALT)


def register(given: str, public_key: str, signature: str, *, at: datetime) -> ReviewerKey:
    """Raises `BadChallenge`, `BadProof`, `NoReviewer`, `KeyTaken`, `InvalidRequest`."""
    claim = _claim(given)
    public, raw_signature = _checked_key(public_key), reviewing.signature_from(signature) or b""
    if not keys.is_signed(public, raw_signature, reviewing.possession_bytes(given, public)):
        raise BadProof("the challenge is not signed by this key", "sign it with `km-review key register`")
    with transaction.atomic():
        user = User.objects.select_for_update().filter(pk=claim["user"]).first()
        if user is None or not is_reviewer(user):
            raise NoReviewer("whoever asked for this challenge is no reviewer", _ASK)
        if _newest(user) != claim["newest"]:
            raise BadChallenge("this challenge has registered a key already", _NEW_CHALLENGE)
        _check_room(user)
        return _create(user, public, at)


def revoke(key: ReviewerKey, *, actor: str, at: datetime, reason: str) -> bool:
    """Take no more signatures or requests of `key`. False if it already was revoked."""
    with transaction.atomic():
        if not ReviewerKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=at):
            return False
        audit.record("reviewer_key.revoked", subject=subject(key), at=at, actor=actor, reason=reason)
    return True


def asking(request: HttpRequest, *, at: datetime) -> ReviewerKey:
    """Whose key signed `request`, just now. Raises `BadProof`, `NoReviewer`."""
    proof = reviewing.read_authorization(request.headers.get("Authorization", ""))
    if proof is None:
        raise BadProof("the request is not signed by a reviewer's key", "use `km-review`")
    if abs(at.timestamp() - proof.at) > reviewing.LEEWAY_SECONDS:
        raise BadProof("the request was signed at another time", "set this machine's clock, and try again")
    key = ReviewerKey.objects.select_related("user").filter(key_id=proof.key_id, revoked_at=None).first()
    message = reviewing.request_bytes(request.method or "", request.get_full_path(), proof.at, _body(request))
    if key is None or not keys.is_signed(raw_key(key), proof.signature, message):
        raise BadProof(f"`{proof.key_id}` is no key in use here, or did not sign this request", "register it first")
    if not is_reviewer(key.user):
        raise NoReviewer(f"{key.user.get_username()} is no reviewer", _ASK)
    return key


def _body(request: HttpRequest) -> bytes:
    try:
        return request.body
    except RequestDataTooBig as error:
        raise PayloadTooLarge(str(error), "an envelope with one signature is far smaller") from None


def raw_key(key: ReviewerKey) -> bytes:
    """Its 32 bytes."""
    return base64.b64decode(key.public_key)


def subject(key: ReviewerKey) -> str:
    """How the audit log names a key."""
    return f"reviewer_key:{key.key_id}"


def _claim(given: str) -> dict[str, int]:
    try:
        claim: dict[str, int] = signing.loads(given, salt=_SALT, max_age=CHALLENGE_GOOD_FOR)
    except signing.SignatureExpired:
        raise BadChallenge("this challenge is too old", _NEW_CHALLENGE) from None
    except signing.BadSignature:
        raise BadChallenge("this is no challenge of this service", _NEW_CHALLENGE) from None
    return claim


def _checked_key(text: str) -> bytes:
    try:
        return keys.from_text(text)
    except ValueError:
        raise InvalidRequest("`public_key` is no Ed25519 key in base64url", "send its 32 bytes") from None


def _newest(user: User) -> int:
    return ReviewerKey.objects.filter(user=user).order_by("-pk").values_list("pk", flat=True).first() or 0


def _check_room(user: User) -> None:
    if ReviewerKey.objects.filter(user=user, revoked_at=None).count() >= MAX_KEYS:
        raise InvalidRequest(f"{user.get_username()} has {MAX_KEYS} keys in use", "revoke one in the console")


def _create(user: User, public: bytes, at: datetime) -> ReviewerKey:
    text = base64.b64encode(public).decode("ascii")
    try:
        with transaction.atomic():
            key = ReviewerKey.objects.create(user=user, key_id=keys.key_id(public), public_key=text, added_at=at)
    except IntegrityError:
        raise KeyTaken("this key is registered already", "make a new one with `km-review key new`") from None
    audit.record("reviewer_key.registered", subject=subject(key), at=at, actor=f"user:{user.get_username()}")
    return key


_ASK = "an operator grants the permission to review"
_NEW_CHALLENGE = "get a new one from the console: Reviewer keys → Register a key"
