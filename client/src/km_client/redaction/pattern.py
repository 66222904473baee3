"""One row of the tables: where to look, what must stand there, and what must hold of it.

Markers are lower-case literals; only where one is found does the expression look closer, anchored at the marker. The
secret is the last group that the expression closes, or its whole match. No expression covers a quote, and each fails
after a bounded look or at its next marker, so that a hostile stream cannot make redaction quadratic.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

# A key begins where no word goes on; `\n` and `%3D` and a colour's `[32m` before it are no part of a word.
AT_WORD = (
    rb"(?:(?<![0-9A-Za-z])|(?<=\\[nrtbf])|(?<=\\u[0-9a-fA-F]{4})"
    rb"|(?<=%[0-9a-fA-F]{2})|(?<=\[[0-9]m)|(?<=[\[;][0-9]{2}m))"
)


def any_value(match: re.Match[bytes]) -> bool:  # noqa: ARG001 - the check of a shape that says it all
    """Every match is a secret."""
    return True


class SecretPattern(NamedTuple):
    """One way a secret is written. `kind` is what stands in its place, `[redacted:<kind>]`; of a match that `holds`
    refuses, nothing is taken out. It begins `back` bytes before its marker.
    """

    kind: str
    markers: tuple[bytes, ...]
    expression: re.Pattern[bytes]
    holds: Callable[[re.Match[bytes]], bool] = any_value
    back: int = 0


def shaped(
    kind: str,
    markers: str,
    expression: bytes,
    holds: Callable[[re.Match[bytes]], bool] = any_value,
    *,
    back: int = 0,
) -> SecretPattern:
    """A secret with a shape of its own, at the start of a word. `markers` are separated by blanks."""
    return SecretPattern(kind, _split(markers), re.compile(AT_WORD + b"(?:" + expression + b")"), holds, back)


def carried(
    kind: str, markers: str, expression: bytes, holds: Callable[[re.Match[bytes]], bool] = any_value
) -> SecretPattern:
    """A secret known by what stands before it, in letters of either case."""
    return SecretPattern(kind, _split(markers), re.compile(expression, re.IGNORECASE | re.DOTALL), holds)


def _split(markers: str) -> tuple[bytes, ...]:
    return tuple(marker.encode() for marker in markers.split())
