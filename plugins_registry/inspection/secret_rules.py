"""Credentials that somebody left in the source. No finding repeats one: it shows the first characters, to be found by.

A Kilometers key is told from a look-alike by its checksum. What has no shape of its own is found by being random where
a name says that it is secret; hashes, ids and examples are let be.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from km_protocol import api_keys

from plugins_registry.inspection.findings import Finding, Severity, finding
from plugins_registry.inspection.source_tree import SourceTree

CHECK = "secrets"
_HINT = "revoke it, and take it out of the source: whoever sees the source has it"
_SHAPES: dict[str, tuple[Severity, re.Pattern[str]]] = {
    "private-key": ("critical", re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----")),
    "aws-access-key": ("critical", re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Z0-9])")),
    "github-token": ("critical", re.compile(r"(?<!\w)(?:gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_\w{60,251})(?!\w)")),
    "gitlab-token": ("critical", re.compile(r"(?<!\w)glpat-[\w-]{20,64}(?!\w)")),
    "slack-token": ("critical", re.compile(r"(?<!\w)xox[abposr]-[A-Za-z0-9-]{10,250}")),
    "slack-webhook": ("high", re.compile(r"https://hooks\.slack\.com/services/T\w{6,20}/B\w{6,20}/\w{16,40}")),
    "google-api-key": ("high", re.compile(r"(?<!\w)AIza[\w-]{35}(?!\w)")),
    "stripe-key": ("critical", re.compile(r"(?<!\w)[rs]k_live_[A-Za-z0-9]{20,200}")),
    "npm-token": ("critical", re.compile(r"(?<!\w)npm_[A-Za-z0-9]{36}(?!\w)")),
    "pypi-token": ("critical", re.compile(r"(?<!\w)pypi-AgE[\w-]{50,250}")),
    "jwt": ("high", re.compile(r"(?<!\w)eyJ[\w-]{10,500}\.eyJ[\w-]{10,2000}\.[\w-]{20,1000}")),
    "password-in-url": (
        "high",
        re.compile(r"(?i)\b[a-z][a-z0-9+]{1,20}://[^\s/:@'\"]{1,64}:[^\s/:@'\"]{4,128}@[\w.-]+"),
    ),
}
_ASSIGNED = re.compile(
    r"""(?ix)(?:api_?key|secret|token|passwd|password|passphrase|private_?key|credential)\w{0,20}['"]?
        \s{0,5}(?::=|[:=])\s{0,5}['"]([A-Za-z0-9+/=_.~!@\#$%^&*-]{16,200})['"]"""
)
_EXAMPLE = re.compile(r"(?i)example|changeme|placeholder|your[_-]|dummy|xxxx|0123456789|abcdef(?:gh)?|test-|<|\$\{")
_PLAIN = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f-]{36}|[a-z_.-]+|[A-Z_]+")  # hashes, ids, words
_MOST_LINE = 4000  # characters that are looked at; a longer line is reported by `hygiene`
_RANDOM_BITS = 3.7  # for each character; English has about 3, random base64 of this length 4.2 and more
_LOCKS = ("go.sum",)


def check(tree: SourceTree) -> Iterator[Finding]:
    for file in tree.files:
        if file.is_plain and not file.is_vendored and not file.name.endswith(_LOCKS):
            for number, line in enumerate(tree.text(file.name).split("\n"), start=1):
                yield from _in_line(file.name, number, line[:_MOST_LINE], is_test=file.is_test)


def _in_line(name: str, number: int, line: str, *, is_test: bool) -> Iterator[Finding]:
    for key in api_keys.find(line):
        yield _at(name, number, line, "kilometers-key", "critical", api_keys.display(key))
    found = False
    for rule, (severity, pattern) in _SHAPES.items():
        for match in pattern.finditer(line):
            if not _EXAMPLE.search(match.group()):
                found = True
                yield _at(name, number, line, rule, severity, match.group()[:8])
    for match in _ASSIGNED.finditer(line):
        if not found and _is_random(match.group(1)):
            yield _at(name, number, line, "random-secret", "medium" if is_test else "high", match.group(1)[:4])


def _is_random(text: str) -> bool:
    return not (_EXAMPLE.search(text) or _PLAIN.fullmatch(text)) and entropy(text) >= _RANDOM_BITS


def entropy(text: str) -> float:
    """Bits for each character, by how often each occurs."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())


def _at(name: str, number: int, line: str, rule: str, severity: Severity, start: str) -> Finding:
    message = f"holds what looks like a {rule.replace('-', ' ')}, starting `{start}`"
    return finding(CHECK, rule, severity, message, _HINT, file=name, line=number, text=line)
