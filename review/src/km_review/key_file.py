"""A reviewer's Ed25519 key in a file: PKCS #8, encrypted under a passphrase, readable by its owner alone.

    create(path, passphrase)      → KeyFile, and a file of mode 0600 that begins `-----BEGIN ENCRYPTED PRIVATE KEY-----`
    load(path, passphrase)        → KeyFile, which signs
    km_protocol…dsse.sign(payload, [key])

A key without a passphrase is neither made nor read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from km_protocol.kmpkg import keys

from km_review.errors import ReviewError

MIN_PASSPHRASE_CHARACTERS = 12  # the file may be copied; nothing but the passphrase then stands in the way
_BEGIN = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key that was opened: a `Signer` of `km_protocol.kmpkg.dsse`."""

    private: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    @property
    def keyid(self) -> str:
        return keys.key_id(self.public)

    def sign(self, data: bytes) -> bytes:
        return self.private.sign(data)


def default_path() -> Path:
    """`reviewer-key.pem` where this person's settings are kept."""
    config = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(config) / "kilometers" / "reviewer-key.pem"


def create(path: Path, passphrase: str) -> KeyFile:
    """Make a new key. Raises `ReviewError` for a short passphrase, or a file that is there already."""
    if len(passphrase) < MIN_PASSPHRASE_CHARACTERS:
        raise ReviewError(
            "short_passphrase",
            f"the passphrase has {len(passphrase)} characters; at least {MIN_PASSPHRASE_CHARACTERS} are needed",
            "a few random words are easy to keep in mind",
        )
    private = Ed25519PrivateKey.generate()
    data = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase.encode()))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
    except FileExistsError:
        hint = "a key is never overwritten: name another file with `--key`"
        raise ReviewError("key_exists", f"there is a key at {path}", hint) from None
    except OSError as error:
        raise ReviewError("key_not_written", f"{path}: {error.strerror}") from None
    return KeyFile(private)


def check_there(path: Path) -> bytes:
    """The file's bytes, before anybody is asked for a passphrase. Raises `ReviewError`."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        hint = "make one with `km-review key new`, or name its file with `--key`"
        raise ReviewError("no_key", f"there is no key at {path}", hint) from None
    except OSError as error:
        raise ReviewError("key_unreadable", f"{path}: {error.strerror}") from None
    if not data.startswith(_BEGIN):
        hint = "only keys that `km-review key new` made are used"
        raise ReviewError("key_not_encrypted", f"{path} is no encrypted private key", hint)
    return data


def load(path: Path, passphrase: str) -> KeyFile:
    """Open the key. Raises `ReviewError`."""
    try:
        private = load_pem_private_key(check_there(path), passphrase.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ReviewError("key_not_opened", f"{path} does not open with this passphrase", "try again") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise ReviewError("key_type", f"{path} holds no Ed25519 key", "make one with `km-review key new`")
    return KeyFile(private)
