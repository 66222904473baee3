"""Why a published version may be believed: its checks, its reviews, its signatures, its bytes and where they came from.

    proof = of(revision)
    proof.payloads[0]    → Payload(platform="linux-amd64", digest="9f86…", twice=True, builder="https://…", signers=2)

Read from the rows. A client believes none of this: it verifies the signatures itself, and so can anybody.
Reviewers are named by their public keys, as the signed metadata names them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from plugins_registry.models import CheckRun, PayloadBuild, Review, Revision


@dataclass(frozen=True, slots=True)
class Payload:
    """What runs on one platform. `twice`: whether a second build gave the same bytes; `None` if there was none."""

    platform: str
    digest: str
    twice: bool | None
    built_at: datetime | None
    builder: str
    has_bill: bool
    signers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """`findings` are those nobody waived, by severity."""

    checks: Sequence[CheckRun]
    passed: int
    reviews: Sequence[Review]
    findings: dict[str, int]
    payloads: tuple[Payload, ...]


def of(revision: Revision) -> Proof:
    """Five queries."""
    checks = list(revision.check_runs.order_by("check_name"))
    findings: dict[str, int] = {}
    for severity in revision.findings.filter(waived=False).values_list("severity", flat=True):
        findings[severity] = findings.get(severity, 0) + 1
    rows = revision.approvals.filter(reviewer_key__revoked_at=None)
    signed: dict[tuple[str, str], set[str]] = {}
    for platform, digest, key in rows.values_list("platform", "payload_digest", "reviewer_key__key_id"):
        signed.setdefault((platform, digest), set()).add(key)
    builds = revision.payloads.exclude(payload_digest="").defer("log").order_by("platform")
    return Proof(
        checks=checks,
        passed=sum(each.state == CheckRun.State.PASSED for each in checks),
        reviews=list(revision.reviews.filter(latest=True).order_by("id")),
        findings=findings,
        payloads=tuple(_payload(each, signed.get((each.platform, each.payload_digest), set())) for each in builds),
    )


def _payload(build: PayloadBuild, signers: set[str]) -> Payload:
    return Payload(
        platform=build.platform,
        digest=build.payload_digest,
        twice=build.second_build_matches,
        built_at=build.built_at,
        builder=_builder(build.provenance),
        has_bill=bool(build.sbom),
        signers=tuple(sorted(signers)),
    )


class _Builder(msgspec.Struct):
    id: str = ""


class _Run(msgspec.Struct, rename="camel"):
    builder: _Builder = msgspec.field(default_factory=_Builder)


class _Predicate(msgspec.Struct, rename="camel"):
    run_details: _Run = msgspec.field(default_factory=_Run)


def _builder(provenance: str) -> str:
    """Who built it, by the provenance; nothing where there is none (yet)."""
    if not provenance:
        return ""
    document: Any = msgspec.json.decode(provenance)
    found = document.get("predicate", document) if isinstance(document, dict) else {}
    return msgspec.convert(found, _Predicate).run_details.builder.id
