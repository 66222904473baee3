"""Secrets are taken out of a message before anything of it is logged or leaves the machine.

    Redactor(RedactionRules()).redact(b'{"password": "hunter2"}')
    → Redacted(b'{"password": "[redacted:password]"}', {"password": 1})

Everything else keeps its bytes, and valid JSON stays valid: a replacement never splits an escape or covers a quote.
Markers are found in one pass (about 10 ns a byte); a message without a secret is given back as it came.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from km_client.agent.secret_patterns import PATTERNS, SecretPattern


class RedactionRules(msgspec.Struct, frozen=True):
    """What the person set: `patterns` (kind → regular expression) are more secrets, what `allow` matches stays."""

    enabled: bool = True
    patterns: dict[str, str] = {}
    allow: tuple[str, ...] = ()


class Redacted(NamedTuple):
    """The bytes that may leave, and how many secrets of each kind were taken out."""

    content: bytes
    counts: dict[str, int]


class _Span(NamedTuple):
    start: int
    end: int
    kind: str
    needs_quotes: bool


_UNTOUCHED: dict[str, int] = {}


class Redactor:
    """The compiled rules. Raises `re.error` on a pattern that is no regular expression."""

    def __init__(self, rules: RedactionRules) -> None:
        by_marker: dict[bytes, list[tuple[int, SecretPattern]]] = {}
        for number, pattern in enumerate(PATTERNS if rules.enabled else ()):
            for marker in pattern.markers:
                by_marker.setdefault(marker, []).append((number, pattern))
        self._by_marker = by_marker
        self._markers = re.compile(_any_of(by_marker)) if by_marker else None
        custom = rules.patterns.items() if rules.enabled else ()
        self._custom = [(kind, re.compile(expression.encode())) for kind, expression in custom]
        self._allow = [re.compile(expression.encode()) for expression in rules.allow]

    def redact(self, content: bytes) -> Redacted:
        """`content` without its secrets. Never fails; of overlapping secrets, what any of them covers goes."""
        spans = [*self._marked(content), *self._matched(content)]
        if not spans:
            return Redacted(content, _UNTOUCHED)
        return _replace(content, _disjoint(spans))

    def text(self, text: str) -> str:
        """The same for a name or a word outside a message."""
        return self.redact(text.encode("utf-8", "replace")).content.decode(errors="replace")

    def _marked(self, content: bytes) -> Iterator[_Span]:
        if self._markers is None:
            return
        covered: dict[int, int] = {}
        for marker in self._markers.finditer(content.lower()):
            for number, pattern in self._by_marker[marker.group()]:
                if marker.start() < covered.get(number, 0):
                    continue  # inside what this pattern already covers
                if match := pattern.expression.match(content, marker.start()):
                    covered[number] = match.end()
                    yield from self._span(content, match, pattern.kind)

    def _matched(self, content: bytes) -> Iterator[_Span]:
        for kind, expression in self._custom:
            for match in expression.finditer(content):
                yield from self._span(content, match, kind)

    def _span(self, content: bytes, match: re.Match[bytes], kind: str) -> Iterator[_Span]:
        group = match.lastgroup or 0
        if any(allowed.fullmatch(match[group]) for allowed in self._allow):
            return
        start, end = _outside_escapes(content, *match.span(group))
        if start < end:
            yield _Span(start, end, kind, group == "bare")


def _any_of(words: Iterable[bytes]) -> bytes:
    """An expression for any of `words`, the longest where two fit, branching by letter: twice as fast as a list."""
    by_letter: dict[bytes, list[bytes]] = {}
    for word in words:
        by_letter.setdefault(word[:1], []).append(word[1:])
    branches = [re.escape(letter) + _rest(ends) for letter, ends in sorted(by_letter.items())]
    return branches[0] if len(branches) == 1 else b"(?:" + b"|".join(branches) + b")"


def _rest(ends: list[bytes]) -> bytes:
    more = [end for end in ends if end]
    if not more:
        return b""
    return _any_of(more) if len(more) == len(ends) else b"(?:" + _any_of(more) + b")?"


def _outside_escapes(content: bytes, start: int, end: int) -> tuple[int, int]:
    """The span shrunk so that it neither begins nor ends inside a JSON escape such as `\\n` or `\\u000a`."""
    for width in range(5, 0, -1):
        # A `u` escape reaches five bytes past its backslash, any other one byte.
        at = start - width
        if at >= 0 and content[at : at + 1] == b"\\" and _is_escaping(content, at):
            reach = 6 if content[at + 1 : at + 2] == b"u" else 2
            start = max(start, at + reach)
    for width in range(1, 6):
        at = end - width
        if at >= start and content[at : at + 1] == b"\\" and _is_escaping(content, at):
            reach = 6 if content[at + 1 : at + 2] == b"u" else 2
            end = at if at + reach > end else end
            break
    return start, end


def _is_escaping(content: bytes, at: int) -> bool:
    """Whether the backslash at `at` begins an escape, rather than ending the escape `\\\\`."""
    before = at
    while before > 0 and content[before - 1 : before] == b"\\":
        before -= 1
    return (at - before) % 2 == 0


def _disjoint(spans: list[_Span]) -> list[_Span]:
    merged: list[_Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if merged and span.start < merged[-1].end:
            merged[-1] = merged[-1]._replace(end=max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged


def _replace(content: bytes, spans: list[_Span]) -> Redacted:
    parts: list[bytes] = []
    counts: dict[str, int] = {}
    position = 0
    for span in spans:
        note = f"[redacted:{span.kind}]"
        parts += [content[position : span.start], (f'"{note}"' if span.needs_quotes else note).encode()]
        counts[span.kind] = counts.get(span.kind, 0) + 1
        position = span.end
    parts.append(content[position:])
    return Redacted(b"".join(parts), counts)
