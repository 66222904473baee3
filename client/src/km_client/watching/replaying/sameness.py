"""What differs between a recorded message and another: JSON values, place by place (RFC 6901 pointers).

    differences({"a": [1, 2]}, {"a": [1, 3]})     →  [Difference("/a/1", 2, 3)]

`[redacted:kind]` in a recorded text stands for whatever was there. A `*` in an ignored pointer is any one step, and
what is below an ignored place is ignored with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from km_client.output import printable

MISSING = object()
_NOTE = re.compile(r"\[redacted:[^\]\s]{1,80}\]")
_SHOWN = 80  # characters of a value in a line for people
_BEFORE = 20

Pointer = tuple[str, ...]


class Difference(NamedTuple):
    """`recorded` or `now` is `MISSING` where one of them has nothing at this place."""

    pointer: str
    recorded: Any
    now: Any

    def words(self) -> str:
        """`/result/content/0/text: recorded "…", now "…"`, around the first character that differs."""
        before, after = _around(self.recorded, self.now)
        return f"{printable(self.pointer) or '/'}: recorded {before}, now {after}"


def pointer(text: str) -> Pointer:
    """`/result/*/text` as its steps. Raises `ValueError` on one that does not begin with a slash."""
    if not text.startswith("/"):
        raise ValueError(text)
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in text[1:].split("/"))


def differences(recorded: Any, now: Any, ignored: Sequence[Pointer] = ()) -> list[Difference]:
    """Every place at which `now` is not what was recorded."""
    return list(_differ(recorded, now, ignored, ()))


def _differ(recorded: Any, now: Any, ignored: Sequence[Pointer], at: Pointer) -> Iterator[Difference]:
    if any(_is_at(place, at) for place in ignored):
        return
    if isinstance(recorded, dict) and isinstance(now, dict):
        for name in [*recorded, *(name for name in now if name not in recorded)]:
            yield from _differ(recorded.get(name, MISSING), now.get(name, MISSING), ignored, (*at, name))
    elif isinstance(recorded, list) and isinstance(now, list):
        for number in range(max(len(recorded), len(now))):
            one, other = (items[number] if number < len(items) else MISSING for items in (recorded, now))
            yield from _differ(one, other, ignored, (*at, str(number)))
    elif not _is_same(recorded, now):
        yield Difference("".join("/" + step.replace("~", "~0").replace("/", "~1") for step in at), recorded, now)


def _is_same(recorded: Any, now: Any) -> bool:
    if recorded is MISSING or now is MISSING:
        return recorded is now
    if isinstance(recorded, bool) or isinstance(now, bool):
        return recorded is now
    if isinstance(recorded, str) and (notes := _NOTE.findall(recorded)):
        if [recorded] == notes:
            return not isinstance(now, dict | list)  # a number becomes text when it is redacted
        return isinstance(now, str) and _matches(_NOTE.split(recorded), now)
    is_nan = recorded != recorded and now != now  # noqa: PLR0124 - no JSON, but what Python's `json` writes
    return is_nan or bool(recorded == now)


def _matches(parts: list[str], text: str) -> bool:
    """Whether `text` is `parts` with anything between them. Takes linear time, as a pattern with `.*` would not."""
    first, *middle, last = parts
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    position, end = len(first), len(text) - len(last)
    for part in middle:
        position = text.find(part, position, end)
        if position < 0:
            return False
        position += len(part)
    return True


def _is_at(place: Pointer, at: Pointer) -> bool:
    return len(place) == len(at) and all(step in ("*", here) for step, here in zip(place, at, strict=True))


def _around(recorded: Any, now: Any) -> tuple[str, str]:
    if not (isinstance(recorded, str) and isinstance(now, str)):
        return _shown(recorded), _shown(now)
    same = next(
        (at for at, (one, other) in enumerate(zip(recorded, now, strict=False)) if one != other),
        min(len(recorded), len(now)),
    )
    start = max(0, same - _BEFORE) if max(len(recorded), len(now)) > _SHOWN else 0
    return _shown(recorded[start:], cut=start > 0), _shown(now[start:], cut=start > 0)


def _shown(value: Any, *, cut: bool = False) -> str:
    if value is MISSING:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    text = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return ("…" if cut else "") + printable(text)
