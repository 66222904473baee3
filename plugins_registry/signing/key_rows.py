"""The rows of keys: made when first needed, announced in a root before they sign, retired when another takes over.

ensure(Role.ISSUER)            the active key; the first one is made on the spot
stage(Role.DIRECTOR_TARGETS)   a new key that signs nothing yet: a root must name it first
activate(row, at=moment)       the root that names it is published
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import transaction
from securesystemslib.signer import AWSSigner, AzureSigner, GCPSigner, Key, SSlibKey, VaultSigner

from core.clock import now
from core.ids import random_text
from customers import audit
from plugins_registry.models import SigningRole
from plugins_registry.signing import key_files
from plugins_registry.signing.errors import SignerUnsuitable
from plugins_registry.signing.hardware import HardwareSigner
from plugins_registry.signing.roles import OFFLINE, Role


def active(role: Role) -> list[SigningRole]:
    """The keys of `role` that count now: three for the root, one for every other."""
    return list(SigningRole.objects.filter(role=role, active=True).order_by("id"))


def ensure(role: Role) -> SigningRole:
    """The active key of an online role, made where there is none."""
    row = SigningRole.objects.filter(role=role, active=True).order_by("-id").first()
    if row is not None:
        return row
    if role in OFFLINE:
        raise SignerUnsuitable(f"nobody has founded this registry: `{role}` has no key", "see docs/security/keys.md")
    with transaction.atomic():
        return _first(role)


def _first(role: Role) -> SigningRole:
    """Two processes at once end with one active key: the older row."""
    made = stage(role)
    older = SigningRole.objects.select_for_update().filter(role=role, active=True).order_by("id").first()
    if older is not None:
        return older
    activate(made, at=now())
    return made


def stage(role: Role, uri: str = "") -> SigningRole:
    """A new key of `role` that signs nothing yet, where `uri` or KM_SIGNER_URIS says.

    Raises `SignerUnsuitable`, `SignerUnreadable` without a passphrase.
    """
    from plugins_registry.signing.signers import secret  # noqa: PLC0415 - signers stand on rows

    uri = uri or settings.SIGNER_URIS.get(str(role), "")
    if uri:
        uri, public = imported(uri)
    else:
        name = f"{role}-{random_text(8)}.pem"
        public = key_files.create(settings.SIGNER_DIR / name, secret(key_files.PASSPHRASE).encode())
        uri = f"{key_files.SCHEME}:{name}"
    if role is Role.ISSUER and public.keytype != "ed25519":
        raise SignerUnsuitable(
            f"the issuer's key must be Ed25519, and `{uri}` is {public.scheme}",
            "packages are checked offline by one algorithm: use a key file or Vault for this role",
        )
    return record(role, public, uri=uri, active=False)


def imported(uri: str) -> tuple[str, SSlibKey]:
    """The full URI of what `uri` names, and its public key, fetched from there. Raises `SignerUnsuitable`."""
    scheme, _, rest = uri.partition(":")
    try:
        full, key = _import(scheme, rest)
    except Exception as error:  # noqa: BLE001 - each vendor's library has errors of its own, and some have no common root
        raise SignerUnsuitable(
            f"`{uri}` gives no public key: {error}", "docs/security/keys.md shows each kind"
        ) from None
    return full, key_files.ed25519_key(raw_public(key)) if key.keytype == "ed25519" else key


def _import(scheme: str, rest: str) -> tuple[str, SSlibKey]:
    from plugins_registry.signing.signers import secret  # noqa: PLC0415 - signers stand on rows

    if scheme == "hsm":
        number, _, query = rest.partition("?label=")
        return HardwareSigner.import_(int(number or HardwareSigner.SCHEME_KEYID), query or None, secret)
    if scheme == "awskms":
        return AWSSigner.import_(rest)
    if scheme == "gcpkms":
        return GCPSigner.import_(rest)
    if scheme == "azurekms":
        vault, _, name = rest.removeprefix("//").partition(".vault.azure.net/keys/")
        return AzureSigner.import_(vault, name)
    if scheme == "hv":
        return VaultSigner.import_(rest.partition("/")[0])
    raise ValueError(f"`{scheme}:` is no kind of key this server knows")


def record(role: Role, public: SSlibKey, *, uri: str = "", active: bool = True) -> SigningRole:
    """The row of a key; the same key again is the same row."""
    row, _ = SigningRole.objects.get_or_create(
        role=role, key_id=public.keyid, defaults={"uri": uri, "public": public.to_dict(), "active": active}
    )
    return row


def activate(row: SigningRole, *, at: datetime, actor: str = audit.SYSTEM) -> None:
    """From now on `row` signs for its role, and no other key does."""
    with transaction.atomic():
        retired = SigningRole.objects.filter(role=row.role, active=True).exclude(pk=row.pk)
        retired.update(active=False, retired_at=at)
        SigningRole.objects.filter(pk=row.pk).update(active=True, retired_at=None)
        audit.record("signer.activated", subject=f"signer:{row.key_id}", at=at, actor=actor, role=row.role)
    row.active = True


def raw_public(key: Key) -> bytes:
    """The 32 bytes of an Ed25519 key."""
    return bytes.fromhex(key.keyval["public"])
