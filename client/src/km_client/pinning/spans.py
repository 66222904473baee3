"""Where the parts of a JSON text stand: what a message says can be read, and cut out, without writing it anew.

    text = '{"a": [1, {"b":2}]}'
    members(text, 0)   ->  ({"a": Span(6, 18)}, False)         elements(text, 6)  ->  [Span(7, 8), Span(10, 17)]

More is taken than the grammar allows (control characters, NaN), for whoever reads the message after us may take it,
too. Numbers are not converted. Raises `ValueError`, and `RecursionError` on what is nested too deeply.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import NamedTuple

_SPACE = re.compile(r"[ \t\r\n]*")
_decode = json.JSONDecoder(strict=False, parse_int=str, parse_float=str).raw_decode


class Span(NamedTuple):
    """From `start` to before `end`."""

    start: int
    end: int

    def of(self, text: str) -> str:
        return text[self.start : self.end]


def whole(text: str) -> Span:
    """The one value of `text`."""
    start = _skip(text, 0)
    span = _value(text, start)
    if _skip(text, span.end) != len(text):
        raise ValueError(f"there is more after the value at {span.end}")
    return span


def members(text: str, at: int, known: Iterable[str] = ()) -> tuple[dict[str, Span], bool]:
    """The members of the object at `at`, the last one of a name; whether readers may differ about them, because a name
    is there twice, or one that is `known` is spelt in letters of another case, which some readers take for the same.
    """
    found: dict[str, Span] = {}
    count = 0
    next_at = _begin(text, at, "{", "}")
    while next_at is not None:
        if text[next_at : next_at + 1] != '"':
            raise ValueError(f"there is no name at {next_at}")
        name, after = _decode(text, next_at)
        after = _skip(text, after)
        if text[after : after + 1] != ":":
            raise ValueError(f"there is no colon at {after}")
        found[name] = _value(text, _skip(text, after + 1))
        count += 1
        next_at = _next(text, found[name].end, "}")
    alike = {name.casefold() for name in known}
    return found, len(found) < count or any(name.casefold() in alike for name in found.keys() - set(known))


def elements(text: str, at: int) -> list[Span]:
    """The elements of the array at `at`."""
    found: list[Span] = []
    next_at = _begin(text, at, "[", "]")
    while next_at is not None:
        found.append(_value(text, next_at))
        next_at = _next(text, found[-1].end, "]")
    return found


def _begin(text: str, at: int, opening: str, closing: str) -> int | None:
    """Where the first part of an object or array stands; `None` if it is empty."""
    if text[at : at + 1] != opening:
        raise ValueError(f"there is no `{opening}` at {at}")
    first = _skip(text, at + 1)
    return None if text[first : first + 1] == closing else first


def _next(text: str, end: int, closing: str) -> int | None:
    """Where the part after the one that ends at `end` stands."""
    at = _skip(text, end)
    if text[at : at + 1] == closing:
        return None
    if text[at : at + 1] != ",":
        raise ValueError(f"there is neither `,` nor `{closing}` at {at}")
    return _skip(text, at + 1)


def _value(text: str, at: int) -> Span:
    return Span(at, _decode(text, at)[1])


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
