"""The signer of each online role: found in the rows, opened by its URI, kept open in this process.

    kmfile:director-targets.pem       an encrypted file (the default), relative to KM_SIGNER_DIR
    hsm:2?label=registry              a hardware module by PKCS #11: PYKCS11LIB names its library, KM_HSM_PIN its PIN
    awskms:… gcpkms:… azurekms:…      a cloud's key service, with the credentials of its own environment
    hv:km-issuer/1                    HashiCorp Vault: VAULT_ADDR, VAULT_TOKEN

`KM_SIGNER_URIS` says which a role's next key is; a key that exists stays where it is until it is rotated.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import NamedTuple

from django.conf import settings
from securesystemslib.exceptions import KeyMismatchError, UnsupportedLibraryError
from securesystemslib.signer import Signer

from plugins_registry.models import SigningRole
from plugins_registry.signing import key_files, key_rows
from plugins_registry.signing.errors import SignerUnreadable
from plugins_registry.signing.roles import Role

_lock = threading.Lock()
_open: dict[tuple[str, str], Signer] = {}


class _Secret(NamedTuple):
    setting: str
    value: str


def signer_for(role: Role) -> Signer:
    """The signer of `role`'s active key, which is made when there is none yet. Raises `SignerUnreadable`."""
    row = key_rows.ensure(role)
    place = (row.key_id, row.uri)
    signer = _open.get(place)
    if signer is None:
        signer = open_signer(row)
        with _lock:
            _open[place] = signer
    return signer


def open_signer(row: SigningRole) -> Signer:
    """Raises `SignerUnreadable`."""
    public = key_files.key_from(row.public, row.key_id)
    try:
        return Signer.from_priv_key_uri(row.uri, public, secret)
    except (OSError, ValueError, KeyMismatchError, UnsupportedLibraryError) as error:
        raise SignerUnreadable(
            f"the key of `{row.role}` at `{row.uri}` cannot be used: {error}",
            "`docs/security/keys.md` says what each kind of key needs",
        ) from None


def secret(name: str) -> str:
    """What a signer asks for by name: a file's passphrase, a module's PIN."""
    known = {
        key_files.PASSPHRASE: _Secret("KM_SIGNER_PASSPHRASE", settings.SIGNER_PASSPHRASE),
        "pin": _Secret("KM_HSM_PIN", settings.HSM_PIN),
    }
    asked = known.get(name)
    if asked is None or not asked.value:
        raise SignerUnreadable(f"a signer asks for its {name}", f"set {asked.setting if asked else 'another signer'}")
    return asked.value


def forget() -> None:
    """Open every key anew at its next use."""
    with _lock:
        _open.clear()


@dataclass(frozen=True, slots=True)
class PackageSigner:
    """The issuer as `km_protocol.kmpkg.dsse` takes it."""

    keyid: str
    public: bytes  # raw, 32 bytes
    _signer: Signer = field(repr=False)

    def sign(self, data: bytes) -> bytes:
        """The raw signature, 64 bytes."""
        return bytes.fromhex(self._signer.sign(data).signature)


def package_signer() -> PackageSigner:
    """Whoever signs packages. Raises `SignerUnreadable`."""
    signer = signer_for(Role.ISSUER)
    return PackageSigner(signer.public_key.keyid, key_rows.raw_public(signer.public_key), signer)
