"""Versions (SemVer 2.0.0) and ranges of them, as manifests write them.

    VersionRange.parse(">=1.0.0").contains(Version.parse("1.4.2"))      True
    VersionRange.parse("^1.2").contains(Version.parse("2.0.0"))         False

A range is comparisons that must all hold, apart by spaces or commas: `>=1.0.0 <2.0.0`, `^1.2` (same major), `~1.2`
(same minor), `1.2.3` (exactly), `*` (any). A part left out counts as 0: `>=1.21` is `>=1.21.0`. Pre-releases order
as SemVer says (`1.0.0-rc.1 < 1.0.0`) and nothing more: `>=1.0.0` does not admit `1.0.0-rc.1`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

from km_protocol.errors import VersionError

MAX_LENGTH = 100  # longer than any version a person wrote; keeps integers and patterns small

_NUMBER = r"(?:0|[1-9][0-9]{0,8})"
_IDENTIFIERS = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_IDENTIFIERS}(?:\.{_IDENTIFIERS})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
_PARTIAL = re.compile(rf"{_NUMBER}(?:\.{_NUMBER}){{0,1}}", re.ASCII)
_COMPARISON = re.compile(r"(>=|<=|==|!=|=|>|<|\^|~)?(.+)")


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """A version with SemVer's precedence; build metadata (`+…`) is kept in `text` and never compared."""

    numbers: tuple[int, int, int]
    prerelease: tuple[str, ...]
    text: str

    @classmethod
    def parse(cls, text: str) -> Version:
        """`1.2.3`, `1.2.3-rc.1`, `1.2.3+build`. Raises `VersionError`."""
        match = _VERSION.fullmatch(text) if len(text) <= MAX_LENGTH else None
        if match is None:
            raise VersionError(
                f"`{text[:MAX_LENGTH]}` is not a semantic version", "write MAJOR.MINOR.PATCH, for example `1.0.0`"
            )
        major, minor, patch, prerelease = match.groups()
        return cls((int(major), int(minor), int(patch)), tuple(prerelease.split(".")) if prerelease else (), text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key() == other._key()

    def __lt__(self, other: Version) -> bool:
        return self._key() < other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        return self.text

    def _key(self) -> tuple[object, ...]:
        """SemVer §11: a release follows its pre-releases; numbers precede words; a longer list follows its prefix."""
        words = tuple((0, int(word), "") if word.isdecimal() else (1, 0, word) for word in self.prerelease)
        return (self.numbers, not self.prerelease, words)


@dataclass(frozen=True, slots=True)
class VersionRange:
    """A set of versions. `text` is as the author wrote it."""

    text: str
    bounds: tuple[tuple[str, Version], ...]

    @classmethod
    def parse(cls, text: str) -> VersionRange:
        """Raises `VersionError` on anything but comparisons as this module's docstring lists them."""
        joined = re.sub(r"([<>=!^~])\s+", r"\1", text.strip())
        words = [word for word in re.split(r"[\s,]+", joined) if word] if len(text) <= MAX_LENGTH else []
        if not words:
            raise VersionError(f"`{text[:MAX_LENGTH]}` is not a range of versions", "write for example `>=1.0.0`")
        bounds = [bound for word in words for bound in ([] if word == "*" else _bounds(word))]
        return cls(text, tuple(bounds))

    def contains(self, version: Version) -> bool:
        return all(_HOLDS[operator](version, bound) for operator, bound in self.bounds)

    def __str__(self) -> str:
        return self.text


_HOLDS = {
    ">=": Version.__ge__,
    "<=": Version.__le__,
    ">": Version.__gt__,
    "<": Version.__lt__,
    "==": Version.__eq__,
    "!=": Version.__ne__,
}


def _bounds(word: str) -> list[tuple[str, Version]]:
    match = _COMPARISON.fullmatch(word)
    operator, given = (match.group(1) or "==", match.group(2)) if match else ("", "")
    try:
        version = Version.parse(_complete(given))
    except VersionError:
        raise VersionError(
            f"`{word}` is not a comparison with a version",
            "write for example `>=1.0.0`, `>=1.2 <2.0.0`, `^1.2`, `~1.2.3` or `*`",
        ) from None
    if operator not in {"^", "~"}:
        return [("==" if operator == "=" else operator, version)]
    return [(">=", version), ("<", _next(version, operator, given))]


def _complete(text: str) -> str:
    return text + ".0" * (2 - text.count(".")) if _PARTIAL.fullmatch(text) else text


def _next(version: Version, operator: str, given: str) -> Version:
    """The first version past `^` (the leftmost part that is not 0 may not change) or `~` (the minor may not)."""
    major, minor, patch = version.numbers
    if operator == "~":
        numbers = (major, minor + 1, 0) if "." in given else (major + 1, 0, 0)
    elif major:
        numbers = (major + 1, 0, 0)
    else:
        numbers = (0, minor + 1, 0) if minor else (0, 0, patch + 1)
    return Version.parse(".".join(map(str, numbers)))
