"""What differs between two definitions: the words of the description, the places of everything else.

    words("Reads a file.", "Reads a file. Send it on.")   → Reads a file.<ins> Send it on.</ins>
    places(before, now)                                   → [Place("inputSchema › properties › to › type", …)]

Both are bounded whatever a server sends: Myers' greedy algorithm (An O(ND) Difference Algorithm, 1986) up to
`MAX_EDITS`, beyond which the differing middle is shown as one removal and one addition; at most `MAX_PLACES` places.
Everything comes out escaped, with characters that do not show spelled out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from dashboard.json_view import visible

MAX_EDITS = 150
MAX_TEXT_CHARACTERS = 16 * 1024
MAX_VALUE_CHARACTERS = 2_000
MAX_PLACES = 100
MAX_DEPTH = 20
_TOKEN = re.compile(r"\w+|\s+|.", re.DOTALL)
_MISSING = object()
_TAGS = {"=": "{}", "-": "<del>{}</del>", "+": "<ins>{}</ins>"}
Edit = tuple[str, str]
"""(`=`, `-` or `+`, text)"""


@dataclass(frozen=True, slots=True)
class Place:
    """One difference. `kind` is `added`, `removed` or `changed`; of the two sides one may be blank."""

    path: SafeString
    kind: str
    before: SafeString
    now: SafeString


def words(before: str, now: str) -> SafeString:
    """One text that holds both, with what was removed and added marked."""
    return format_html_join("", "{}", ((_marked(*edit),) for edit in edits(before, now)))


def edits(before: str, now: str) -> list[Edit]:
    """The runs of one text's way to the other, a word at a time."""
    old = _TOKEN.findall(before[:MAX_TEXT_CHARACTERS])
    new = _TOKEN.findall(now[:MAX_TEXT_CHARACTERS])
    start = _same(old, new)
    end = _same(old[start:][::-1], new[start:][::-1])
    middle = _shortest(old[start : len(old) - end], new[start : len(new) - end])
    steps = [*(("=", token) for token in old[:start]), *middle, *(("=", token) for token in old[len(old) - end :])]
    return list(_runs(steps))


def places(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Place]:
    """Where two definitions differ, apart from their descriptions; one more than `MAX_PLACES` says there are more."""
    found = []
    for path, old, new in _differences((), {**before, "description": None}, {**now, "description": None}):
        found.append(_place(path, old, new))
        if len(found) > MAX_PLACES:
            break
    return found


def _marked(kind: str, text: str) -> SafeString:
    return format_html(_TAGS[kind], visible(text))


def _same(old: list[str], new: list[str]) -> int:
    """How many tokens both begin with."""
    return next(
        (at for at, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), min(len(old), len(new))
    )


def _shortest(old: list[str], new: list[str]) -> list[Edit]:
    """Myers: furthest reaching ends of the paths of d edits, by diagonal, for growing d; then the way back."""
    ends: dict[int, int] = {1: 0}
    trace: list[dict[int, int]] = []
    for depth in range(min(MAX_EDITS, len(old) + len(new)) + 1):
        trace.append(dict(ends))
        for diagonal in range(-depth, depth + 1, 2):
            down = diagonal == -depth or (diagonal != depth and ends[diagonal - 1] < ends[diagonal + 1])
            x = ends[diagonal + 1] if down else ends[diagonal - 1] + 1
            while x < len(old) and x - diagonal < len(new) and old[x] == new[x - diagonal]:
                x += 1
            ends[diagonal] = x
            if x >= len(old) and x - diagonal >= len(new):
                return _way_back(old, new, trace)
    return [*(("-", token) for token in old), *(("+", token) for token in new)]


def _way_back(old: list[str], new: list[str], trace: list[dict[int, int]]) -> list[Edit]:
    steps: list[Edit] = []
    x, y = len(old), len(new)
    for depth in range(len(trace) - 1, -1, -1):
        ends, diagonal = trace[depth], x - y
        down = diagonal == -depth or (diagonal != depth and ends[diagonal - 1] < ends[diagonal + 1])
        came_x = ends[diagonal + 1] if down else ends[diagonal - 1]
        came_y = came_x - (diagonal + 1 if down else diagonal - 1)
        while x > max(came_x, 0) and y > max(came_y, 0) and old[x - 1] == new[y - 1]:
            x, y = x - 1, y - 1
            steps.append(("=", old[x]))
        if depth:
            steps.append(("+", new[came_y]) if down else ("-", old[came_x]))
            x, y = came_x, came_y
    return steps[::-1]


def _runs(steps: list[Edit]) -> Iterator[Edit]:
    """Neighbours of one kind joined; removals before additions where both meet."""
    waiting = {"-": "", "+": "", "=": ""}
    for kind, text in steps:
        if kind == "=" and (waiting["-"] or waiting["+"]):
            yield from ((each, waiting[each]) for each in "-+" if waiting[each])
            waiting = {"-": "", "+": "", "=": ""}
        if kind != "=" and waiting["="]:
            yield "=", waiting["="]
            waiting["="] = ""
        waiting[kind] += text
    yield from ((each, waiting[each]) for each in "=-+" if waiting[each])


def _differences(path: tuple[str, ...], old: Any, new: Any) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict) and len(path) < MAX_DEPTH:
        for key in sorted({*old, *new}):
            yield from _differences((*path, key), old.get(key, _MISSING), new.get(key, _MISSING))
    elif isinstance(old, list) and isinstance(new, list) and _nested(old, new) and len(path) < MAX_DEPTH:
        for number in range(max(len(old), len(new))):
            sides = (side[number] if number < len(side) else _MISSING for side in (old, new))
            yield from _differences((*path, str(number)), *sides)
    elif _spelled(old) != _spelled(new):  # `1 == True`, and not in JSON
        yield path, old, new


def _nested(*lists: list[Any]) -> bool:
    """Whether lists hold more than plain values: those are shown whole, as `required` is."""
    return any(isinstance(each, dict | list) for side in lists for each in side)


def _place(path: tuple[str, ...], old: Any, new: Any) -> Place:
    kind = "added" if old is _MISSING else "removed" if new is _MISSING else "changed"
    shown = visible(" › ".join(path)[:MAX_VALUE_CHARACTERS])
    if isinstance(old, str) and isinstance(new, str):
        sides = edits(old[:MAX_VALUE_CHARACTERS], new[:MAX_VALUE_CHARACTERS])
        before, now = (
            format_html_join("", "{}", ((_marked(*edit),) for edit in sides if edit[0] in kinds))
            for kinds in ("=-", "=+")
        )
        return Place(shown, kind, before, now)
    return Place(shown, kind, _value(old), _value(new))


def _value(value: Any) -> SafeString:
    if value is _MISSING:
        return SafeString("")
    text = value if isinstance(value, str) else _spelled(value)
    return visible(text[:MAX_VALUE_CHARACTERS] + ("…" if len(text) > MAX_VALUE_CHARACTERS else ""))


def _spelled(value: Any) -> str:
    return "" if value is _MISSING else json.dumps(value, ensure_ascii=False, sort_keys=True)
