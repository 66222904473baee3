"""What a reviewer sees of one revision: everything a decision rests on, read once.

    page = read(revision)
    page.permissions   → (Permission("network", asked=True, before=False, widened=True), …)
    page.findings      → (("critical", [ShownFinding(finding, excerpt)]), ("low", […]))

Nothing here decides. What the author wrote (names, code, messages) is text, and is escaped where it is put on a page.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db.models import QuerySet
from km_protocol.errors import ProtocolError
from km_protocol.kmpkg.manifest import Permissions

from customers.models import AuditEntry
from plugins_registry import difference_rows, differences, queries, source_pages
from plugins_registry.models import CheckRun, Finding, PayloadBuild, Review, Revision, Severity
from plugins_registry.source_pages import Line, visible

GRAVEST_FIRST = tuple(reversed(Severity.values))
MAX_EXCERPTS = 200  # of one page; the findings beyond are listed without their line
PERMISSIONS = ("network", "filesystem", "system", "api_key")


class Permission(NamedTuple):
    """`before` is what the last approved revision had; `None` without one. Widened: asked now, and not had before."""

    name: str
    asked: bool
    before: bool | None
    widened: bool


class ShownFinding(NamedTuple):
    finding: Finding
    file: str
    message: str
    hint: str
    excerpt: tuple[Line, ...]


class Fact(NamedTuple):
    """A field of the manifest, as text."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class ReviewPage:
    """`fault` says why the source could not be read, where it could not."""

    revision: Revision
    previous: Revision | None
    facts: tuple[Fact, ...]
    permissions: tuple[Permission, ...]
    findings: tuple[tuple[str, list[ShownFinding]], ...]
    checks: Sequence[CheckRun]
    reviews: Sequence[Review]
    builds: Sequence[PayloadBuild]
    history: Sequence[AuditEntry]
    difference: difference_rows.Shown
    fault: str


def read(revision: Revision) -> ReviewPage:
    """A handful of queries, and the source's archive twice at most."""
    previous = queries.last_approved(revision)
    excerpts, fault = _excerpts(revision)
    difference, fault = _difference(previous, revision) if not fault else (difference_rows.Shown([], 0), fault)
    return ReviewPage(
        revision=revision,
        previous=previous,
        facts=_facts(revision),
        permissions=permissions(revision, previous),
        findings=_by_severity(excerpts),
        checks=list(revision.check_runs.all()),
        reviews=list(revision.reviews.select_related("reviewer").order_by("id")),
        builds=list(revision.payloads.order_by("platform")),
        history=list(history(revision)),
        difference=difference,
        fault=fault,
    )


def permissions(revision: Revision, previous: Revision | None) -> tuple[Permission, ...]:
    """Every permission there is, in the manifest's order. Without an earlier revision, each that is asked is new."""
    now, before = revision.manifest.permissions, previous.manifest.permissions if previous else None
    return tuple(_permission(name, now, before) for name in PERMISSIONS)


def finding_counts(revisions: Sequence[Revision]) -> dict[int, dict[str, int]]:
    """By revision, how many findings nobody waived, gravest first; in one query."""
    counts = {revision.pk: dict.fromkeys(GRAVEST_FIRST, 0) for revision in revisions}
    rows = Finding.objects.filter(revision__in=revisions, waived=False).values_list("revision_id", "severity")
    for revision_id, severity in rows:
        counts[revision_id][severity] += 1
    return counts


def history(revision: Revision) -> QuerySet[AuditEntry]:
    """Everything that was ever done to it, the newest first."""
    return AuditEntry.objects.filter(subject=f"revision:{revision.public_id}").order_by("-id")


class SignedBuild(NamedTuple):
    """A payload and who signed it, as it is built now, with a key in use."""

    row: PayloadBuild
    signers: list[str]


def signed_builds(page: ReviewPage) -> list[SignedBuild]:
    """The payloads with those whose signatures count."""
    rows = page.revision.approvals.filter(reviewer_key__revoked_at=None)
    names = rows.values_list("platform", "payload_digest", "reviewer_key__user__username")
    signers: dict[tuple[str, str], set[str]] = {}
    for platform, digest, name in names:
        signers.setdefault((platform, digest), set()).add(name)
    return [SignedBuild(row, sorted(signers.get((row.platform, row.payload_digest), ()))) for row in page.builds]


def _permission(name: str, now: Permissions, before: Permissions | None) -> Permission:
    asked = bool(getattr(now, name))
    had = bool(getattr(before, name)) if before else None
    return Permission(name, asked, had, asked and not had)


def _facts(revision: Revision) -> tuple[Fact, ...]:
    manifest = revision.manifest
    features = manifest.features
    listed = {
        "description": manifest.description,
        "author": manifest.author,
        "license": manifest.license,
        "runtime": f"{manifest.runtime}, starts {manifest.entry}",
        "platforms": ", ".join(revision.platforms),
        "runs with": f"kilometers {manifest.compatibility.kilometers_cli.text}",
        "features": ", ".join((*features.required, *(f"{name} (optional)" for name in features.optional))) or "none",
        "settings": ", ".join(manifest.configuration.get("properties", {})) or "none",
        "build flags": " ".join(manifest.build.go_build_flags) or "none",
    }
    return tuple(Fact(name, visible(value)) for name, value in listed.items())


def manifest_text(revision: Revision) -> str:
    """The manifest, indented, as one may read it."""
    pretty = json.dumps(json.loads(revision.manifest_json), indent=2, ensure_ascii=False)
    return "\n".join(visible(line) for line in pretty.split("\n"))


def _excerpts(revision: Revision) -> tuple[list[ShownFinding], str]:
    """Every finding, the first with the lines they are about."""
    findings = sorted(revision.findings.all(), key=lambda each: (GRAVEST_FIRST.index(each.severity), each.pk))
    try:
        with source_pages.opened(revision.source) as source:
            lines = [
                source_pages.excerpt(source, each.file, each.line) if each.file and each.line else ()
                for each in findings[:MAX_EXCERPTS]
            ]
    except (OSError, ProtocolError) as error:
        return [_shown(each, ()) for each in findings], f"the source cannot be read: {error}"
    lines += [()] * (len(findings) - len(lines))
    return [_shown(finding, excerpt) for finding, excerpt in zip(findings, lines, strict=True)], ""


def _shown(finding: Finding, excerpt: tuple[Line, ...]) -> ShownFinding:
    return ShownFinding(finding, visible(finding.file), _paragraph(finding.message), _paragraph(finding.hint), excerpt)


def _paragraph(text: str) -> str:
    return "\n".join(visible(line) for line in text[:4_000].split("\n"))


def _by_severity(findings: Sequence[ShownFinding]) -> tuple[tuple[str, list[ShownFinding]], ...]:
    groups = {severity: [each for each in findings if each.finding.severity == severity] for severity in GRAVEST_FIRST}
    return tuple((severity, group) for severity, group in groups.items() if group)


def _difference(previous: Revision | None, revision: Revision) -> tuple[difference_rows.Shown, str]:
    try:
        changes = differences.between(previous.source if previous else None, revision.source)
    except (OSError, ProtocolError) as error:
        return difference_rows.Shown([], 0), f"the earlier source cannot be read: {error}"
    return difference_rows.shown(changes), ""
