"""What the verbs print: plain lines, and nothing a hostile name could steer a terminal with.

plain("a\\x1b[2Jb")   → "a\\x1b[2Jb" as ten visible characters
"""

from __future__ import annotations

from collections.abc import Sequence

from km_review.wire import Build, Listed, Shown


def plain(text: str) -> str:
    """`text` as it may stand on a terminal: one line, what is not printable as its escape."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def listed(rows: Sequence[Listed]) -> list[str]:
    """A line for each revision, oldest first."""
    if not rows:
        return ["Nothing waits for a reviewer."]
    table: list[tuple[str, ...]] = [("REVISION", "PLUGIN", "STATE", "RISK", "WAITING SINCE", "FINDINGS", "PERMISSIONS")]
    table += [_row(row) for row in rows]
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]


def shown(revision: Shown) -> list[str]:
    """One revision, whole."""
    lines = [
        f"{plain(revision.plugin)} {plain(revision.version)}, revision {revision.number} ({plain(revision.revision)})",
        f"  state:       {plain(revision.state)}, risk {plain(revision.risk or 'not known')}",
        f"  author:      {plain(revision.author)}",
        f"  source:      {plain(revision.source_sha256)}",
        f"  permissions: {permissions(revision)}",
        f"  findings:    {findings(revision)}",
        *(f"  review:      {plain(review)}" for review in revision.reviews),
    ]
    for build in revision.builds:
        lines += ["", *_build(build, revision.threshold)]
    return lines + (["", f"Nothing to sign: {plain(revision.why_not)}."] if revision.why_not else [])


def permissions(revision: Listed) -> str:
    """`network (new), filesystem`, or `none`."""
    asked = [name for name, wanted in revision.permissions.items() if wanted]
    return ", ".join(f"{plain(name)} (new)" if name in revision.widened else plain(name) for name in asked) or "none"


def findings(revision: Listed) -> str:
    """`1 high, 3 low`, or `none`."""
    return ", ".join(f"{count} {plain(severity)}" for severity, count in revision.findings.items() if count) or "none"


def _row(row: Listed) -> tuple[str, ...]:
    name = f"{plain(row.plugin)} {plain(row.version)} #{row.number}"
    waiting = plain(row.waiting_since[:16].replace("T", " "))
    return (
        plain(row.revision),
        name,
        plain(row.state),
        plain(row.risk or "–"),
        waiting,
        findings(row),
        permissions(row),
    )


def _build(build: Build, threshold: int) -> list[str]:
    second = {True: "equal", False: "DIFFERENT", None: "not run"}[build.second_build_matches]
    names = ", ".join(plain(name) for name in build.signed_by) or "nobody"
    return [
        f"  {plain(build.platform)}",
        f"    payload digest: {plain(build.payload_digest)}",
        f"    second build:   {second}",
        f"    signed by:      {names} ({len(build.signed_by)} of {threshold})",
    ]
