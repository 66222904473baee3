"""A change of the catalog, read from the bytes that would be signed: what it adds, and what it takes away.

    read(draft)                       → Change(role="release-0c", added=(Target("slow-tools/1.2.0/any", "9f86…"),), …)
    words_of(change, own_digests)     → lines, each added target marked that this reviewer did not certify

The bytes are TUF metadata (https://theupdateframework.github.io/specification, section 4.5). They begin with `{`, and
what certifies a payload or proves a request with `DSSEv1`: no signature of one kind passes for one of the other.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from km_review import words
from km_review.errors import ReviewError
from km_review.wire import Draft

_ROLE = "targets"


class Target(NamedTuple):
    """A payload the catalog lists, by `<plugin>/<version>/<platform>`."""

    path: str
    digest: str
    permissions: str


@dataclass(frozen=True, slots=True)
class Change:
    """`signed` are the bytes. `reviewers` are the ids of the keys it hands the bins to, if it does that."""

    role: str
    repository: str
    version: int
    expires: str
    added: tuple[Target, ...]
    removed: tuple[Target, ...]
    unchanged: int
    reviewers: tuple[str, ...]
    signed: bytes


class _Custom(msgspec.Struct):
    payload_digest: str
    permissions: list[str] = []


class _File(msgspec.Struct):
    hashes: dict[str, str]
    custom: _Custom


class _Delegations(msgspec.Struct):
    keys: dict[str, Any]


class _Signed(msgspec.Struct):
    kind: str = msgspec.field(name="_type")
    version: int
    expires: str
    targets: dict[str, _File]
    scope: str = msgspec.field(name="x-km-scope")
    delegations: _Delegations | None = None


class _Metadata(msgspec.Struct):
    signed: msgspec.Raw


def read(draft: Draft) -> Change:
    """Raises `ReviewError` for anything but a targets role of that repository and version."""
    signed = _bytes(draft.signed)
    now = _signed(signed)
    if (now.kind, now.version, now.scope) != (_ROLE, draft.version, draft.repository):
        raise ReviewError("another_role", f"what is offered is not version {draft.version} of the role", _TELL)
    was = _signed(bytes(_metadata(_bytes(draft.published)).signed)) if draft.published else None
    before, after = _listed(was) if was else set(), _listed(now)
    return Change(
        role=draft.role,
        repository=draft.repository,
        version=now.version,
        expires=now.expires,
        added=tuple(sorted(after - before)),
        removed=tuple(sorted(before - after)),
        unchanged=len(before & after),
        reviewers=tuple(sorted(now.delegations.keys)) if now.delegations else (),
        signed=signed,
    )


def words_of(change: Change, own: Collection[str]) -> list[str]:
    """What a signature will say."""
    lines = [
        f"{words.plain(change.repository)}, {words.plain(change.role)}, version {change.version},"
        f" until {words.plain(change.expires)}; {change.unchanged} lines as before"
    ]
    for target in change.added:
        mark = "" if target.digest in own else "   NOT certified with this key on this machine"
        lines += [f"  + {words.plain(target.path)}{mark}", f"      payload digest: {words.plain(target.digest)}"]
        lines += [f"      permissions:    {words.plain(target.permissions) or 'none'}"]
    lines += [f"  - {words.plain(target.path)}" for target in change.removed]
    lines += [f"  reviewers whose keys count: {words.plain(', '.join(change.reviewers))}"] if change.reviewers else []
    return lines


def _listed(signed: _Signed) -> set[Target]:
    return {
        Target(path, file.custom.payload_digest, ", ".join(file.custom.permissions))
        for path, file in signed.targets.items()
    }


def _signed(data: bytes) -> _Signed:
    """Strictly: a key that stands twice could show one thing to a person and another to a client."""
    try:
        json.loads(data, object_pairs_hook=_once)
        signed = msgspec.json.decode(data, type=_Signed)
    except (ValueError, msgspec.DecodeError) as error:
        raise ReviewError("bad_draft", f"what is offered cannot be read: {error}", _TELL) from None
    for path, file in signed.targets.items():
        if file.hashes != {"sha256": file.custom.payload_digest}:
            raise ReviewError("bad_draft", f"{words.plain(path)} names two digests", _TELL)
    return signed


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return made


def _metadata(data: bytes) -> _Metadata:
    try:
        return msgspec.json.decode(data, type=_Metadata)
    except msgspec.DecodeError as error:
        raise ReviewError("bad_draft", f"what is published cannot be read: {error}", _TELL) from None


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ReviewError("bad_answer", "the draft is not base64", "check `--server`") from None


_TELL = "do not sign; tell the operator"
