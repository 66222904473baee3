"""TUF's metadata as bytes: pure, apart from the signers it is given. Each says within what is signed whose it is.

    {"signatures":[…],"signed":{"_type":"timestamp","expires":"…","meta":{…},"version":12,"x-km-scope":"cus_7Yd0…"}}

All directors are signed by the same keys, so plain TUF would take one customer's repository for another's. The scope
is what a client compares before it believes anything: `catalog`, a customer's public id, or, in a root, which of the
two kinds of repository it is for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from securesystemslib.signer import Key, Signer
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import (
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from plugins_registry.signing.errors import SignerUnreadable
from plugins_registry.signing.roles import ROOT_THRESHOLD

SCOPE = "x-km-scope"
COMPACT = JSONSerializer(compact=True)


@dataclass(frozen=True, slots=True)
class Published:
    """A role's newest file: `version`, and its bytes."""

    version: int
    data: bytes

    def described(self) -> MetaFile:
        """How the role above names it."""
        return MetaFile(self.version, len(self.data), {"sha256": hashlib.sha256(self.data).hexdigest()})


def target(path: str, length: int, sha256: str, custom: Mapping[str, Any]) -> TargetFile:
    """A target of `length` bytes."""
    return TargetFile(length, {"sha256": sha256}, path, {"custom": dict(custom)} if custom else None)


def targets(
    scope: str, version: int, expires: datetime, listed: Iterable[TargetFile], *, delegations: Delegations | None = None
) -> Metadata[Targets]:
    """A role that lists targets, not yet signed."""
    fields = {SCOPE: scope}
    paths = {each.path: each for each in listed}
    return Metadata(Targets(version, None, whole(expires), paths, delegations, fields))


def snapshot(scope: str, version: int, expires: datetime, roles: Mapping[str, Published]) -> Metadata[Snapshot]:
    """Which version of each role belongs together."""
    meta = {f"{name}.json": published.described() for name, published in roles.items()}
    return Metadata(Snapshot(version, None, whole(expires), meta, {SCOPE: scope}))


def timestamp(scope: str, version: int, expires: datetime, current: MetaFile) -> Metadata[Timestamp]:
    """That nothing newer than the snapshot `current` exists."""
    return Metadata(Timestamp(version, None, whole(expires), current, {SCOPE: scope}))


def root(scope: str, version: int, expires: datetime, keys: Mapping[str, Iterable[Key]]) -> Metadata[Root]:
    """Whose keys count for each role: `keys` by role, `root` among them."""
    signed = Root(version, None, whole(expires), consistent_snapshot=True, unrecognized_fields={SCOPE: scope})
    for role, holders in keys.items():
        for key in holders:
            signed.add_key(key, role)
    signed.roles["root"].threshold = ROOT_THRESHOLD
    return Metadata(signed)


def signed_by(metadata: Metadata[Any], signer: Signer) -> bytes:
    """The file that is served, under one signature. Raises `SignerUnreadable` when its key signs nothing."""
    try:
        metadata.sign(signer)
    except UnsignedMetadataError as error:
        what = f"`{metadata.signed.type}` under the key {signer.public_key.keyid[:16]}"
        hint = "see what its module or service says, or make a new key with `manage.py tuf_rotate`"
        raise SignerUnreadable(f"nobody signs {what}: {error.__cause__ or error}", hint) from error
    return written(metadata)


def written(metadata: Metadata[Any]) -> bytes:
    """The file that is served."""
    data: bytes = metadata.to_bytes(COMPACT)
    return data


def scope_of(signed: Signed) -> str:
    """Whose it says it is; empty for nobody's."""
    return str(signed.unrecognized_fields.get(SCOPE, ""))


def whole(moment: datetime) -> datetime:
    """TUF writes whole seconds."""
    return moment.replace(microsecond=0)
