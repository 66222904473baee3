"""What a check says: findings, and whether it could look at all.

    finding("python_rules", "undeclared-network", "high", "…", file="main.py", line=3, text="import socket")

A tool that is absent is `not_run` and one that crashed, hung or flooded is an `error`: neither ever counts as passed,
and neither is held against the author. The fingerprint is made of the rule, the file and the words of the line, so it
stays when lines move, and a decision on a false positive is found again in the next revision.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

Severity = Literal["info", "low", "medium", "high", "critical"]
State = Literal["not_run", "passed", "failed", "error"]

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
BLOCKING: frozenset[Severity] = frozenset({"high", "critical"})
MOST_FINDINGS = 500  # of one check: more is a flood, and nobody reads it
LONGEST_MESSAGE = 500
LONGEST_FILE = 300


@dataclass(frozen=True, slots=True)
class Finding:
    """`file` is relative to the source, empty when it is about the whole; `line` counts from 1, 0: there is none."""

    check: str
    rule: str
    severity: Severity
    file: str
    line: int
    message: str
    hint: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """`detail` is for people: the tool's version, or why it did not run. `seconds` is how long it took."""

    check: str
    state: State
    findings: tuple[Finding, ...] = ()
    detail: str = ""
    seconds: float = 0.0


def finding(  # noqa: PLR0913 - a finding has these parts
    check: str,
    rule: str,
    severity: Severity,
    message: str,
    hint: str = "",
    *,
    file: str = "",
    line: int = 0,
    text: str = "",
) -> Finding:
    """`text` is the source line it is about, or whatever else tells it from others of its rule in that file."""
    shown, file = printable(message)[:LONGEST_MESSAGE], printable(file)[:LONGEST_FILE]
    return Finding(check, rule, severity, file, line, shown, hint[:LONGEST_MESSAGE], fingerprint(rule, file, text))


def fingerprint(rule: str, file: str, text: str) -> str:
    """32 hexadecimal digits. Indentation and spacing do not count."""
    parts = "\0".join((rule, file, " ".join(text.split())))
    return hashlib.sha256(parts.encode(errors="surrogatepass")).hexdigest()[:32]


def printable(text: str) -> str:
    """On one line, whatever an author put into a name: no control characters, no reordering of what is read."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def judged(check: str, findings: Iterable[Finding], *, detail: str = "", seconds: float = 0.0) -> CheckResult:
    """The result of a check that ran: `failed` when anything in it stands in the way."""
    kept = capped(check, list(findings))
    state: State = "failed" if any(each.severity in BLOCKING for each in kept) else "passed"
    return CheckResult(check, state, kept, detail, seconds)


def capped(check: str, findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Each once, the gravest first, and no more than a person can look at."""
    each = {(found.rule, found.file, found.line, found.fingerprint): found for found in findings}
    ranked = sorted(each.values(), key=lambda found: (-SEVERITIES.index(found.severity), found.file, found.line))
    if len(ranked) <= MOST_FINDINGS:
        return tuple(ranked)
    left = len(ranked) - MOST_FINDINGS + 1
    more = finding(check, "too-many-findings", "high", f"{left:,} more findings are not listed", "fix those listed")
    return (*ranked[: MOST_FINDINGS - 1], more)


def lowered(found: Finding, most: Severity) -> Finding:
    """`found` with no more than this severity."""
    rank = min(SEVERITIES.index(found.severity), SEVERITIES.index(most))
    return replace(found, severity=SEVERITIES[rank])
