"""What the service answers, as far as this program reads it. Fields it does not know are passed over."""

from __future__ import annotations

import msgspec


class Build(msgspec.Struct, frozen=True):
    """A payload that was built. `statement` is what a signature certifies, in base64; `signed_by` are people."""

    platform: str
    payload_digest: str
    statement: str
    signed_by: list[str]
    signed_by_you: bool
    second_build_matches: bool | None = None


class Listed(msgspec.Struct, frozen=True):
    """A revision of the queue, or one that waits for signatures. `findings` counts by severity."""

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


class Shown(Listed, frozen=True):
    """One revision: what was decided, what waits for a signature and, if nothing may be signed, why."""

    reviews: list[str]
    builds: list[Build]
    threshold: int
    why_not: str = ""


class Queue(msgspec.Struct, frozen=True):
    revisions: list[Listed]


class Registered(msgspec.Struct, frozen=True):
    key_id: str
    reviewer: str


class Signed(msgspec.Struct, frozen=True):
    """How many different reviewers' signatures there are now, of how many."""

    signatures: int
    threshold: int


class Draft(msgspec.Struct, frozen=True):
    """Catalog metadata that waits for this reviewer: `signed` and `published` in base64."""

    repository: str
    role: str
    version: int
    signed: str
    published: str | None = None


class Drafts(msgspec.Struct, frozen=True):
    drafts: list[Draft]


class Accepted(msgspec.Struct, frozen=True):
    """Whether the metadata is published with this signature."""

    published: bool


class Problem(msgspec.Struct, frozen=True):
    code: str
    message: str
    hint: str = ""


class Refusal(msgspec.Struct, frozen=True):
    error: Problem
