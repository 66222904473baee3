"""JSON that folds: each object and list a `<details>`, open at first, so that it needs no script.

    tree('{"id":1,"params":{"n":[1,2]}}')

    ▾ {2}
        "id": 1
      ▾ "params": {1}
          ▾ "n": [2]
              1
              2

Made from the text's own tokens, as `json_view.pretty` is: `1.50e3` stays that, a key given twice is there twice. What
is not one whole JSON value, or is nested too deeply for a page, has no tree.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from dashboard.json_view import CLASS, pieces, visible

MAX_DEPTH = 40  # of nested elements; pretty text goes deeper
MAX_CHARACTERS = 16 * 1024  # every container is three elements
_NONE = SafeString("")
_ENDS = {"{": "}", "[": "]"}


def tree(text: str) -> SafeString:
    """`text` as elements; blank where there is nothing to fold."""
    if len(text) > MAX_CHARACTERS or not _is_whole(text):
        return _NONE
    parts = list(pieces(text))
    if _deepest(parts) > MAX_DEPTH:
        return _NONE
    return mark_safe("".join(_value(iter(parts), next_key="")[0]))  # noqa: S308 - every piece is escaped by _token


def _is_whole(text: str) -> bool:
    try:
        msgspec.json.decode(text, type=dict | list)
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        return False
    return True


def _deepest(parts: list[tuple[str, str]]) -> int:
    deepest = depth = 0
    for kind, _ in parts:
        depth += (kind == "open") - (kind == "close")
        deepest = max(deepest, depth)
    return deepest


def _value(parts: Iterator[tuple[str, str]], *, next_key: str) -> tuple[list[str], bool]:
    """The markup of the next value, after its key; and whether there was one rather than the container's end."""
    kind, piece = next(parts)
    if kind == "close":
        return [], False
    if kind == "key":
        next(parts)  # the colon
        return _value(parts, next_key=_token(kind, piece) + ": ")
    if kind != "open":
        return [f"<span>{next_key}{_token(kind, piece)}</span>"], True
    inside, number = _members(parts)
    ends = escape(_ENDS[piece])
    if not number:
        return [f"<span>{next_key}{piece}{ends}</span>"], True
    head = f"<details open><summary>{next_key}{piece}{number}{ends}</summary><div>"
    return [head, *inside, "</div></details>"], True


def _members(parts: Iterator[tuple[str, str]]) -> tuple[list[str], int]:
    """Everything up to the end of a container, and how many values that is."""
    inside: list[str] = []
    number = 0
    while True:
        member, is_one = _value(parts, next_key="")
        if not is_one:
            return inside, number
        inside += member
        number += 1
        if next(parts)[0] == "close":  # else a comma
            return inside, number


def _token(kind: str, piece: str) -> str:
    return f'<span class="{CLASS[kind]}">{visible(piece)}</span>' if kind in CLASS else str(visible(piece))
