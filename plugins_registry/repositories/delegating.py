"""Whose signatures certify: the reviewers that the catalog's offline targets name, and the roles they sign.

    catalog:  targets ─► security     (online key)     blocklist.json
                      └► release      (two reviewers)  ─► release-00 … release-3f, by hash of the target's path
    director: targets ─► release      (the same two)   the owner's private plugins

A director's own key could name other reviewers. So a client that reads a private plugin's release holds its signatures
against the keys the *catalog* names, which people signed offline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from securesystemslib.signer import Key
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, SuccinctRoles, Targets

from plugins_registry.models import MetadataFile, RepositoryState
from plugins_registry.repositories import files
from plugins_registry.repositories.dirty import CATALOG
from plugins_registry.repositories.metadata import Published
from plugins_registry.signing.roles import REVIEW_THRESHOLD

RELEASE, SECURITY = "release", "security"
BLOCKLIST = "blocklist.json"
EVERY_RELEASE = "*/*/*"  # name/version/platform


@dataclass(frozen=True, slots=True)
class Release:
    """A customer's private release as its director names it."""

    published: Published
    delegations: Delegations


def catalog_delegations(security: Key, reviewers: Sequence[Key]) -> Delegations:
    """What the catalog's targets delegate."""
    keys = {key.keyid: key for key in (security, *reviewers)}
    roles = {
        SECURITY: DelegatedRole(SECURITY, [security.keyid], 1, True, paths=[BLOCKLIST]),
        RELEASE: DelegatedRole(RELEASE, _ids(reviewers), REVIEW_THRESHOLD, True, paths=[EVERY_RELEASE]),
    }
    return Delegations(keys, roles)


def bin_delegations(reviewers: Sequence[Key], bits: int) -> Delegations:
    """What `release` delegates: `2**bits` bins, each under the same two signatures."""
    keys = {key.keyid: key for key in reviewers}
    return Delegations(keys, None, SuccinctRoles(_ids(reviewers), REVIEW_THRESHOLD, bits, RELEASE))


def private_delegations(reviewers: Sequence[Key]) -> Delegations:
    """What a director's targets delegate when its customer has private plugins."""
    keys = {key.keyid: key for key in reviewers}
    role = DelegatedRole(RELEASE, _ids(reviewers), REVIEW_THRESHOLD, True, paths=[EVERY_RELEASE])
    return Delegations(keys, {RELEASE: role})


def catalog_targets() -> Metadata[Targets] | None:
    """The catalog's newest targets; `None` before the registry was founded."""
    state = RepositoryState.objects.filter(name=CATALOG).first()
    found = files.newest(state, "targets") if state else None
    return Metadata[Targets].from_bytes(found.data) if found else None


def reviewers_of(targets: Metadata[Targets]) -> list[Key]:
    """The keys that may certify, as people signed them offline."""
    delegations = targets.signed.delegations
    assert delegations is not None and delegations.roles is not None  # every catalog of ours delegates
    return [delegations.keys[keyid] for keyid in delegations.roles[RELEASE].keyids]


def private_releases(states: Sequence[RepositoryState]) -> dict[int, Release]:
    """The newest private release of those of `states` that have one, by the state's number."""
    rows = MetadataFile.objects.filter(repository__in=states, path__endswith=f".{RELEASE}.json").order_by("version")
    newest = {row.repository_id: Published(row.version, bytes(row.bytes)) for row in rows}
    targets = catalog_targets() if newest else None
    if targets is None:
        return {}
    delegations = private_delegations(reviewers_of(targets))
    return {state: Release(published, delegations) for state, published in newest.items()}


def _ids(keys: Sequence[Key]) -> list[str]:
    return [key.keyid for key in keys]
