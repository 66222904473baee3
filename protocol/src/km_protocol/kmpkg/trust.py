"""Whom a machine trusts about packages, and the file that says so.

    {"blocked":["9f86…"],"customer_id":"cus_…","format":"km-trust-1","issuers":{"3f9a0c41d2e81b77":"…"},
     "review_threshold":2,"reviewers":{"…":"…","…":"…"}}

`issuers` and `reviewers` map a key's id to the key (base64url, 43 characters); `blocked` holds SHA-256 digests, in
hexadecimal digits, of payloads or of whole packages. `customer_id` is null where nobody's packages in particular are
expected. A file written by a person may have spaces and line ends; one key twice, or a field nobody knows, is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec

from km_protocol import canonical
from km_protocol.errors import Problem, TrustError
from km_protocol.kmpkg import keys
from km_protocol.kmpkg.reading import decode
from km_protocol.kmpkg.statements import Id, Sha256

FORMAT = "km-trust-1"
MAX_BYTES = 8 * 1024 * 1024  # a hundred thousand blocked digests
REVIEW_THRESHOLD = 2
_HINT = "docs/plugins/package.md shows a trust file"


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """Keys by their ids, raw 32 bytes each. Raises `TrustError` when it could not protect anything."""

    issuers: Mapping[str, bytes]
    reviewers: Mapping[str, bytes]
    review_threshold: int = REVIEW_THRESHOLD
    customer_id: str | None = None
    blocked: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        for role, held in (("issuer", self.issuers), ("reviewer", self.reviewers)):
            _check_ids(role, held)
        if self.review_threshold < 1:
            raise TrustError(f"a review threshold of {self.review_threshold} asks for no review at all", _HINT)
        if both := sorted(set(self.issuers.values()) & set(self.reviewers.values())):
            message = f"the key `{keys.key_id(both[0])}` is an issuer's and a reviewer's: one theft would forge both"
            raise TrustError(message, "give each role keys of its own")
        object.__setattr__(self, "issuers", MappingProxyType(dict(self.issuers)))
        object.__setattr__(self, "reviewers", MappingProxyType(dict(self.reviewers)))


_Key = Annotated[str, msgspec.Meta(pattern=keys.TEXT_PATTERN)]
_KeyId = Annotated[str, msgspec.Meta(pattern=keys.ID_PATTERN)]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    format: Literal["km-trust-1"]
    issuers: dict[_KeyId, _Key]
    reviewers: dict[_KeyId, _Key]
    review_threshold: int = REVIEW_THRESHOLD
    customer_id: Id | None = None
    blocked: list[Sha256] = []


def read(data: bytes) -> TrustPolicy:
    """Raises `TrustError`."""
    problems: list[Problem] = []
    document = decode(data, problems, limit=MAX_BYTES)
    if problems:
        raise TrustError(f"the trust file is wrong at {problems[0]}", problems[0].hint or _HINT)
    try:
        found = msgspec.convert(document, _File, strict=True)
        issuers, reviewers = _raw(found.issuers), _raw(found.reviewers)
    except ValueError as error:  # also what msgspec raises
        raise TrustError(f"the trust file is wrong: {error}", _HINT) from None
    blocked = frozenset(found.blocked)
    return TrustPolicy(issuers, reviewers, found.review_threshold, found.customer_id, blocked)


def write(policy: TrustPolicy) -> bytes:
    """What `read` reads; the same policy gives the same bytes."""
    return canonical.dumps(
        {
            "format": FORMAT,
            "issuers": _texts(policy.issuers),
            "reviewers": _texts(policy.reviewers),
            "review_threshold": policy.review_threshold,
            "customer_id": policy.customer_id,
            "blocked": sorted(policy.blocked),
        }
    )


def _raw(texts: Mapping[str, str]) -> dict[str, bytes]:
    return {keyid: keys.from_text(text) for keyid, text in texts.items()}


def _texts(held: Mapping[str, bytes]) -> dict[str, str]:
    return {keyid: keys.to_text(raw) for keyid, raw in held.items()}


def _check_ids(role: str, held: Mapping[str, bytes]) -> None:
    for keyid, raw in held.items():
        if len(raw) != keys.KEY_BYTES or keys.key_id(raw) != keyid:
            raise TrustError(f"`{keyid[:40]}` is not the id of the {role}'s key it stands before", _HINT)
