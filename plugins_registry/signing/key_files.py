"""Ed25519 keys in files of their own, encrypted: the default of online keys, and what offline key holders are given.

    create(Path("ann.pem"), b"…passphrase…")       → the public key; PKCS #8, PEM, 0600, never overwritten
    Signer.from_priv_key_uri("kmfile:director-targets.pem", public, lambda name: "…passphrase…")

securesystemslib's own `file2:` reads only files that are not encrypted, so encrypted ones have a scheme of their own.
A relative path is within the directory `KM_SIGNER_DIR`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from django.conf import settings
from km_protocol.kmpkg.keys import key_id
from securesystemslib.signer import (
    SIGNER_FOR_URI_SCHEME,
    CryptoSigner,
    Key,
    SecretsHandler,
    Signature,
    Signer,
    SSlibKey,
)

from plugins_registry.signing.errors import SignerUnreadable

SCHEME = "kmfile"
PASSPHRASE = "passphrase"  # noqa: S105 - what the secrets handler is asked for, not a secret
_AGAIN = "restore the file and its passphrase from the backup, or make a new key with `manage.py tuf_rotate`"


class KeyFileSigner(Signer):
    """An encrypted key file. It is decrypted once, when the signer is made."""

    def __init__(self, private_key: Ed25519PrivateKey, public_key: SSlibKey) -> None:
        self._signer = CryptoSigner(private_key, public_key)

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> KeyFileSigner:
        """Raises `SignerUnreadable`."""
        path = settings.SIGNER_DIR / priv_key_uri.removeprefix(f"{SCHEME}:")
        secret = secrets_handler(PASSPHRASE).encode() if secrets_handler else b""
        return cls(load(path, secret), public_key)  # type: ignore[arg-type]  # CryptoSigner checks it

    @property
    def public_key(self) -> SSlibKey:
        return self._signer.public_key

    def sign(self, payload: bytes) -> Signature:
        return self._signer.sign(payload)


SIGNER_FOR_URI_SCHEME[SCHEME] = KeyFileSigner


def create(path: Path, passphrase: bytes) -> SSlibKey:
    """Make a key in the new file `path`. Raises `FileExistsError`."""
    private_key = Ed25519PrivateKey.generate()
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())  # a root names this key from now on
    return public_of(private_key)


def load(path: Path, passphrase: bytes) -> Ed25519PrivateKey:
    """Raises `SignerUnreadable`, which does not tell a wrong passphrase from a damaged file: nor can the file."""
    try:
        private_key = load_pem_private_key(path.read_bytes(), passphrase)
    except OSError as error:
        raise SignerUnreadable(f"the key file `{path}` cannot be read: {error.strerror}", _AGAIN) from None
    except (ValueError, TypeError):
        raise SignerUnreadable(f"the key file `{path}` is not encrypted under this passphrase", _AGAIN) from None
    if not isinstance(private_key, Ed25519PrivateKey):
        raise SignerUnreadable(f"the key in `{path}` is not an Ed25519 key", _AGAIN)
    return private_key


def public_of(private_key: Ed25519PrivateKey) -> SSlibKey:
    """Its public half, under the id it has everywhere here."""
    raw = private_key.public_key().public_bytes_raw()
    return SSlibKey.from_crypto(private_key.public_key(), keyid=key_id(raw))


def key_from(public: Mapping[str, Any], keyid: str) -> SSlibKey:
    """A public key as rows and files hold it: `{"keytype", "scheme", "keyval": {"public"}}`."""
    key = Key.from_dict(keyid, dict(public))
    assert isinstance(key, SSlibKey)
    return key


def ed25519_key(raw: bytes) -> SSlibKey:
    """A public Ed25519 key from its 32 bytes."""
    return SSlibKey(key_id(raw), "ed25519", "ed25519", {"public": raw.hex()})
