"""The Ed25519 keys that sign tokens and leases, and how one replaces another without a failed verification.

    announced ──(longer than anyone caches the key set)──► active ──(the next one takes over)──► retired ──► removed
    └──────────────── published at /.well-known/jwks.json ─────────────────────────────────────────────┘

A key is published for `ANNOUNCE_FOR` before it signs, so whoever verifies already knows it; it stays published after
it stops signing until the longest thing it signed has ended. Its private half is encrypted at rest under the server's
passphrase and wiped from the row when it stops signing. The first key is made when first needed and signs at once:
nobody can have cached a key set without it. No clockwork is needed: whoever asks for a key first moves on what is due.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from jwt import PyJWK
from jwt.algorithms import OKPAlgorithm
from km_protocol.claims import GRACE_SECONDS, LEEWAY_SECONDS

from core.ids import random_text
from customers import audit
from customers.errors import RotationPending, SigningKeyUnreadable
from customers.models import SigningKey
from customers.states import KEY_TRANSITIONS, KeyState

JWKS_MAX_AGE = timedelta(minutes=5)  # what `Cache-Control` tells those who verify
ANNOUNCE_FOR = timedelta(minutes=15)  # three times that: a cache that ignores one refresh still knows the key
KEYRING_MAX_AGE = timedelta(seconds=60)  # how long a process trusts its memory of the rows
PUBLISHED = (KeyState.ANNOUNCED, KeyState.ACTIVE, KeyState.RETIRED)


@dataclass(frozen=True, slots=True)
class Signer:
    """The key that signs now."""

    kid: str
    private_key: Ed25519PrivateKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Keyring:
    since: datetime
    signer: Signer
    verifiers: dict[str, PyJWK]


_lock = threading.Lock()
_keyring: _Keyring | None = None


def signer(*, at: datetime) -> Signer:
    """The key to sign with at `at`. Raises `SigningKeyUnreadable` under another passphrase than its own."""
    return _current(at).signer


def verifier(kid: str, *, at: datetime) -> PyJWK | None:
    """The public key `kid`, pinned to EdDSA; `None` unless it is published."""
    return _current(at).verifiers.get(kid)


def key_set(*, at: datetime) -> dict[str, list[dict[str, Any]]]:
    """The published keys as a JWK set (RFC 7517), read from the rows."""
    _advance(at)
    _ensure_first(at)
    return {"keys": [key.public_jwk for key in _published()]}


def longest_signature() -> timedelta:
    """How long after signing anything of ours may still be verified: a lease in its offline grace."""
    return timedelta(seconds=max(settings.TOKEN_SECONDS, GRACE_SECONDS) + LEEWAY_SECONDS) + KEYRING_MAX_AGE


def rotate(*, at: datetime, actor: str = audit.SYSTEM) -> SigningKey:
    """Announce a new key; it takes over after `ANNOUNCE_FOR`. Raises `RotationPending` if one is announced already."""
    _advance(at)
    _ensure_first(at)
    with transaction.atomic():
        pending = SigningKey.objects.select_for_update().filter(state=KeyState.ANNOUNCED).first()
        if pending is not None:
            raise RotationPending(
                f"the signing key `{pending.kid}` is announced and takes over at {pending.activates_at.isoformat()}",
                "wait until then; if a key has leaked, use `manage.py rotate_signing_key --compromised`",
            )
        key = _create(KeyState.ANNOUNCED, at=at, activates_at=at + ANNOUNCE_FOR, actor=actor)
    forget()
    return key


def replace_compromised(*, at: datetime, actor: str = audit.SYSTEM) -> SigningKey:
    """Stop trusting every key at once and sign with a new one. All tokens and leases end within a minute."""
    with transaction.atomic():
        for key in _published():
            rows = SigningKey.objects.filter(pk=key.pk, state=key.state)
            rows.update(state=KeyState.REMOVED, removes_at=at, private_pem="")
            audit.record("signing_key.removed", subject=f"signing_key:{key.kid}", at=at, actor=actor, compromised=True)
        created = _create(KeyState.ACTIVE, at=at, activates_at=at, actor=actor)
    transaction.on_commit(forget)
    return created


def forget() -> None:
    """Read the rows again at the next use."""
    global _keyring  # noqa: PLW0603 - one keyring a process is the point
    with _lock:
        _keyring = None


def _current(at: datetime) -> _Keyring:
    global _keyring  # noqa: PLW0603
    keyring = _keyring
    if keyring is None or not keyring.since <= at < keyring.since + KEYRING_MAX_AGE:
        keyring = _load(at)
        with _lock:
            _keyring = keyring
    return keyring


def _load(at: datetime) -> _Keyring:
    _advance(at)
    active = _ensure_first(at)
    verifiers = {key.kid: PyJWK.from_dict(key.public_jwk, algorithm="EdDSA") for key in _published()}
    return _Keyring(at, Signer(active.kid, _decrypt(active)), verifiers)


def _published() -> QuerySet[SigningKey]:
    return SigningKey.objects.filter(state__in=PUBLISHED).order_by("-id")


def _ensure_first(at: datetime) -> SigningKey:
    active = SigningKey.objects.filter(state=KeyState.ACTIVE).first()
    if active is not None:
        return active
    try:
        with transaction.atomic():
            return _create(KeyState.ACTIVE, at=at, activates_at=at, actor=audit.SYSTEM)
    except IntegrityError:  # another process was first
        return SigningKey.objects.get(state=KeyState.ACTIVE)


def _create(state: KeyState, *, at: datetime, activates_at: datetime, actor: str) -> SigningKey:
    private_key = Ed25519PrivateKey.generate()
    kid = f"km-{at:%Y%m%d}-{random_text(8)}"
    jwk = OKPAlgorithm.to_jwk(private_key.public_key(), as_dict=True) | {"kid": kid, "alg": "EdDSA", "use": "sig"}
    key = SigningKey.objects.create(
        kid=kid,
        state=state,
        public_jwk=jwk,
        private_pem=_encrypt(private_key),
        created_at=at,
        activates_at=activates_at,
    )
    audit.record(f"signing_key.{state}", subject=f"signing_key:{kid}", at=at, actor=actor)
    return key


def _advance(at: datetime) -> None:
    """Carry out the transitions that are due."""
    due = SigningKey.objects.filter(state=KeyState.ANNOUNCED, activates_at__lte=at).first()
    if due is not None:
        with transaction.atomic():
            for active in SigningKey.objects.filter(state=KeyState.ACTIVE):
                _transition(active, at, retired_at=at, removes_at=at + longest_signature(), private_pem="")
            _transition(due, at)
    for spent in SigningKey.objects.filter(state=KeyState.RETIRED, removes_at__lte=at):
        with transaction.atomic():
            _transition(spent, at)


def _transition(key: SigningKey, at: datetime, **columns: Any) -> None:
    """Move `key` on; a row that another process already moved is left alone."""
    state = KEY_TRANSITIONS[KeyState(key.state)]
    if SigningKey.objects.filter(pk=key.pk, state=key.state).update(state=state, **columns):
        audit.record(f"signing_key.{state}", subject=f"signing_key:{key.kid}", at=at)


def _encrypt(private_key: Ed25519PrivateKey) -> str:
    protection = serialization.BestAvailableEncryption(settings.SIGNING_KEY_PASSPHRASE)
    return private_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection).decode()


def _decrypt(key: SigningKey) -> Ed25519PrivateKey:
    try:
        private_key = serialization.load_pem_private_key(key.private_pem.encode(), settings.SIGNING_KEY_PASSPHRASE)
    except (ValueError, TypeError):
        raise SigningKeyUnreadable(
            f"the signing key `{key.kid}` was not encrypted under the present KM_SIGNING_KEY_PASSPHRASE",
            "restore that passphrase, or give up all tokens with `manage.py rotate_signing_key --compromised`",
        ) from None
    assert isinstance(private_key, Ed25519PrivateKey)
    return private_key
