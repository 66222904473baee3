"""The `go build` flags a manifest may ask for: those that change the result and run nothing.

["-ldflags", "-s -w", "-trimpath", "-tags=netgo"]      allowed
["-toolexec=./evil"], ["-ldflags", "-extld=./evil"]    refused: each runs a program of the author's on the builder
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from km_protocol.errors import Problem

_LINKER = r"(?:-s|-w|-buildid=|-X [A-Za-z0-9_./-]+=[A-Za-z0-9_.+:-]*)"
_COMPILER = r"(?:all=)?-[NlS](?: -[Nl])*"
_WITH_VALUE = {
    "-ldflags": re.compile(rf"{_LINKER}(?: {_LINKER})*", re.ASCII),
    "-gcflags": re.compile(_COMPILER, re.ASCII),
    "-tags": re.compile(r"[a-z0-9_.]+(?:,[a-z0-9_.]+)*", re.ASCII),
}
_ALONE = {"-trimpath"}
HINT = "allowed: -trimpath, -tags WORDS, -ldflags with -s -w -X, -gcflags with -N -l"


def refused_flags(flags: Sequence[tuple[str, str]]) -> Iterator[Problem]:
    """A problem for each flag, or value of a flag, that is not on the list. `flags` are (path, text) in order."""
    waiting: tuple[str, str] | None = None  # the flag before, which takes its value from the next word
    for path, text in flags:
        if waiting is not None:
            yield from _refused_value(path, waiting[1], text)
            waiting = None
            continue
        name, equals, value = text.replace("--", "-", 1).partition("=")
        if name in _WITH_VALUE:
            if equals:
                yield from _refused_value(path, name, value)
            else:
                waiting = (path, name)
        elif text not in _ALONE:
            yield Problem(path, f"`{text[:80]}` is not an allowed build flag", HINT)
    if waiting is not None:
        yield Problem(waiting[0], f"`{waiting[1]}` has no value", HINT)


def _refused_value(path: str, name: str, value: str) -> Iterator[Problem]:
    if not _WITH_VALUE[name].fullmatch(value.strip("'\"")):
        yield Problem(path, f"`{value[:80]}` is not an allowed value of `{name}`", HINT)
