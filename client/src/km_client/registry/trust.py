"""From the catalog's targets, which people signed offline, to whose signatures count on a package.

    {"signed": {"_type": "targets", "x-km-scope": "catalog",
                "x-km-issuers": {"3f9a0c41d2e81b77": "11qYAYKx…"},          who may sign a package's own statement
                "delegations": {"keys": {…}, "succinct_roles": {"threshold": 2, …}}}}     the reviewers' own keys

A reviewer is whoever holds a key of a delegation that asks for two signatures at least; the role `security`, which
blocks, signs no review.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from km_protocol.errors import TrustError
from km_protocol.kmpkg import keys
from km_protocol.kmpkg.trust import REVIEW_THRESHOLD, TrustPolicy

from km_client.registry.errors import RegistryError

if TYPE_CHECKING:
    from tuf.api.metadata import Key, Metadata, Targets

ISSUERS = "x-km-issuers"
RELEASE_ROLE, SECURITY_ROLE = "release", "security"
_HINT = "tell who runs the server: until it is mended, nothing can be installed"


def policy(catalog: Targets, customer_id: str, blocked: frozenset[str]) -> TrustPolicy:
    """Raises `RegistryError` where the catalog names nobody, or one key for both."""
    try:
        issuers = _issuers(catalog)
        reviewers = {keys.key_id(raw): raw for raw in _reviewers(catalog)}
        if not issuers or len(reviewers) < REVIEW_THRESHOLD:
            raise TrustError(f"it names {len(issuers)} issuers and {len(reviewers)} reviewers", _HINT)
        return TrustPolicy(issuers, reviewers, REVIEW_THRESHOLD, customer_id, blocked)
    except (TrustError, ValueError) as error:
        raise RegistryError("registry_invalid", f"the registry's catalog vouches for nobody: {error}", _HINT) from None


def check_review(catalog: Targets, release: Metadata[Targets]) -> None:
    """Raises TUF's error unless two of the catalog's reviewers signed `release`."""
    role = (catalog.delegations.roles or {}).get(RELEASE_ROLE) if catalog.delegations else None
    if role is None or role.threshold < REVIEW_THRESHOLD:
        raise RegistryError("registry_invalid", "the registry's catalog names no reviewers", _HINT)
    catalog.verify_delegate(RELEASE_ROLE, release.signed_bytes, release.signatures)


def _issuers(catalog: Targets) -> dict[str, bytes]:
    named = catalog.unrecognized_fields.get(ISSUERS)
    if not isinstance(named, dict):
        return {}
    held = [keys.from_text(str(text)) for text in named.values()]
    return {keys.key_id(raw): raw for raw in held}


def _reviewers(catalog: Targets) -> Iterator[bytes]:
    delegations = catalog.delegations
    if delegations is None:
        return
    roles = [role for role in (delegations.roles or {}).values() if role.name != SECURITY_ROLE]
    for role in (*roles, *([delegations.succinct_roles] if delegations.succinct_roles else [])):
        if role.threshold >= REVIEW_THRESHOLD:
            yield from (_raw(delegations.keys[keyid]) for keyid in role.keyids if keyid in delegations.keys)


def _raw(key: Key) -> bytes:
    """TUF writes an Ed25519 key as 64 hexadecimal digits."""
    if key.keytype != "ed25519":
        raise ValueError(f"a reviewer's key is of the type {key.keytype}, and only Ed25519 is known here")
    return bytes.fromhex(key.keyval["public"])
