"""The bodies of the reviewers' addresses, as they cross the wire to `km-review` and back."""

from __future__ import annotations

from typing import Annotated

import msgspec
from km_protocol.kmpkg.dsse import MAX_ENVELOPE_BYTES
from km_protocol.reviewing import MAX_CHALLENGE_CHARACTERS

Text = Annotated[str, msgspec.Meta(max_length=200)]


class RegisterKeyRequest(msgspec.Struct):
    """A key's public half, and its signature over the console's challenge; both in base64url."""

    challenge: Annotated[str, msgspec.Meta(max_length=MAX_CHALLENGE_CHARACTERS)]
    public_key: Text
    signature: Text


class RegisteredKey(msgspec.Struct):
    key_id: str
    reviewer: str


class PayloadToSign(msgspec.Struct):
    """A payload that was built. `statement` is what is signed, in base64; `signed_by` are people."""

    platform: str
    payload_digest: str
    statement: str
    signed_by: list[str]
    signed_by_you: bool
    second_build_matches: bool | None


class ListedRevision(msgspec.Struct):
    """`widened` are permissions that the last approved revision did not have; `findings` counts by severity."""

    revision: str
    plugin: str
    version: str
    number: int
    state: str
    risk: str
    author: str
    waiting_since: str
    permissions: dict[str, bool]
    widened: list[str]
    findings: dict[str, int]
    source_sha256: str


class ShownRevision(ListedRevision, kw_only=True):
    """`why_not` says why nothing can be signed, where that is so."""

    reviews: list[str]
    builds: list[PayloadToSign]
    threshold: int
    why_not: str


class RevisionQueue(msgspec.Struct):
    revisions: list[ListedRevision]


class ApprovalRequest(msgspec.Struct):
    """One reviewer's envelope over the statement of `platform`'s payload."""

    platform: Text
    envelope: Annotated[str, msgspec.Meta(max_length=MAX_ENVELOPE_BYTES)]


class ApprovalAnswer(msgspec.Struct):
    """How many reviewers' signatures there are now, of how many."""

    signatures: int
    threshold: int


class ReleaseDraft(msgspec.Struct):
    """Catalog metadata that waits for this reviewer: `signed` is what is signed, in base64; `published` what stands."""

    repository: str
    role: str
    version: int
    signed: str
    published: str | None


class ReleaseDrafts(msgspec.Struct):
    drafts: list[ReleaseDraft]


class ReleaseSignatureRequest(msgspec.Struct):
    """A signature over a draft's `signed`, in base64url."""

    repository: Text
    role: Text
    version: int
    signature: Text


class ReleaseSignatureAnswer(msgspec.Struct):
    """Whether the role is published with this signature."""

    published: bool
