"""Secrets are taken out of a message before anything of it is logged or leaves the machine.

    Redactor(RedactionRules()).redact(b'{"password": "hunter2"}')
    → Redacted(b'{"password": "[redacted:password]"}', {"password": 1})

Everything else keeps its bytes, and valid JSON stays valid: a replacement never splits an escape or covers a quote.
Markers are found in one pass (about 3 ns a byte); a message without a secret is given back as it came. What a secret
looks like stands in `km_client.redaction`; how many are found of how many, in docs/client/redaction.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from km_client.redaction import escapes, named
from km_client.redaction.escapes import View
from km_client.redaction.pattern import SecretPattern
from km_client.redaction.search import MarkerSearch
from km_client.redaction.table import PATTERNS


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
    """`quote` stands around the note where none was: a number becomes text."""

    start: int
    end: int
    kind: str
    quote: bytes = b""


CUT_END = "cut_end"  # the kind of what may have been the beginning of a secret
CUT_BYTES = 4096  # longer than any key on one line
_UP_TO_THE_LAST_WORD = re.compile(rb'.*[\s"]', re.DOTALL)
_UNTOUCHED: dict[str, int] = {}


class Redactor:
    """The compiled rules. Raises `re.error` on a pattern that is no regular expression."""

    def __init__(self, rules: RedactionRules) -> None:
        self._is_on = rules.enabled
        by_marker: dict[bytes, list[tuple[int, SecretPattern]]] = {}
        for number, pattern in enumerate(PATTERNS if rules.enabled else ()):
            for marker in pattern.markers:
                by_marker.setdefault(marker, []).append((number, pattern))
        self._search = MarkerSearch(list(by_marker))
        self._by_marker = list(by_marker.values())
        custom = rules.patterns.items() if rules.enabled else ()
        self._custom = [(kind, re.compile(expression.encode())) for kind, expression in custom]
        self._allow = [re.compile(expression.encode()) for expression in rules.allow]

    def redact(self, content: bytes, *, is_cut: bool = False) -> Redacted:
        """`content` without its secrets. Never fails; of overlapping secrets, what any of them covers goes. Where its
        end is not there (`is_cut`), the last word may be half a secret that no pattern knows, and goes too.
        """
        view = escapes.plain(content)
        spans = [
            *self._marked(content, view),
            *self._matched(content, view),
            *(self._last_word(content) if is_cut else ()),
        ]
        if not spans:
            return Redacted(content, _UNTOUCHED)
        return _replace(content, _disjoint(spans))

    def text(self, text: str) -> str:
        """The same for a name or a word outside a message."""
        return self.redact(text.encode("utf-8", "replace")).content.decode(errors="replace")

    def _last_word(self, content: bytes) -> Iterator[_Span]:
        tail = content[-CUT_BYTES:]
        before = _UP_TO_THE_LAST_WORD.match(tail)
        word = tail[before.end() :] if before else tail
        if word and self._is_on:
            yield _Span(len(content) - len(word), len(content), CUT_END)

    def _marked(self, content: bytes, view: View) -> Iterator[_Span]:
        covered: dict[int, int] = {}
        for marker, start in self._search.find(view.content):
            for number, pattern in self._by_marker[marker]:
                at = start - pattern.back
                if at < 0 or start < covered.get(number, 0):
                    continue  # inside what this pattern has looked at, a secret or none: no byte is looked at twice
                match = pattern.expression.match(view.content, at)
                if match is None:
                    continue
                covered[number] = match.end()
                if pattern.holds(match):
                    yield from self._span(content, view, match, pattern.kind)

    def _matched(self, content: bytes, view: View) -> Iterator[_Span]:
        """A person writes an expression for a text or for its JSON: it is looked for in both."""
        as_it_is = View(content, [])
        for shown in (as_it_is,) if view.content is content else (as_it_is, view):
            for kind, expression in self._custom:
                for match in expression.finditer(shown.content):
                    yield from self._span(content, shown, match, kind)

    def _span(self, content: bytes, view: View, match: re.Match[bytes], kind: str) -> Iterator[_Span]:
        group = match.lastgroup or 0
        if any(allowed.fullmatch(match[group]) for allowed in self._allow):
            return
        start, end = escapes.outside(content, *view.whole(*match.span(group)))
        if start < end:
            yield _Span(start, end, kind, named.quote_of(match))


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
        parts += [content[position : span.start], span.quote, f"[redacted:{span.kind}]".encode(), span.quote]
        counts[span.kind] = counts.get(span.kind, 0) + 1
        position = span.end
    parts.append(content[position:])
    return Redacted(b"".join(parts), counts)
