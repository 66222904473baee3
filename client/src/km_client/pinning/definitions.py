r"""What an answer to `tools/list` says, and a definition's canonical form: the service's (`definitions_reading`).

    listing = read('{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"git_log","description":"Shows …"}]}}')
    listing.tools[0].definition   ->  Definition("git_log", digest="9f86d081…", text='{"name":"git_log",…}')

A definition is what a model reads and a person approves a tool by: title, description, schemas, annotations. Two are
the same when their canonical JSON is: keys sorted, no space, 1.0 written 1, everything beyond ASCII escaped; a lone
surrogate is read as the six characters of its escape. The digest is SHA-256 of that; of more than 256 KiB, of what
stands there. Where a server's secrets are taken out before they are shipped, the service's digest is of what is left.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import re
from typing import Any, NamedTuple

from km_client.pinning import spans
from km_client.pinning.spans import Span

KEYS = ("title", "description", "inputSchema", "outputSchema", "annotations")
NAMED = ("name", *KEYS)
ANSWER = ("id", "result", "error")
RESULT = ("tools", "nextCursor", "resultType")
MAX_KEPT_BYTES = 256 * 1024  # of one definition: of a longer one only the digest is kept
MAX_NAME_CHARACTERS = 1_000  # of a tool that can be pinned; clients allow some 64
_LONGEST_EXACT = 20  # digits of an integer that is read as one
_ESCAPES = re.compile(r"\\[^u]|\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w|\\u([dD][89a-fA-F]\w\w)")


class Definition(NamedTuple):
    """A tool as a list had it. `text` is the whole of it as the server wrote it; blank where that is too long."""

    name: str
    digest: str
    text: str


class Listed(NamedTuple):
    """An element of a list. `definition` is `None` for what has no name to call it by; `is_ambiguous` says that
    readers may differ about it.
    """

    span: Span
    definition: Definition | None
    is_ambiguous: bool = False


class Listing(NamedTuple):
    """The tools of one answer, and where their array stands. `is_last` says that no page follows."""

    tools: list[Listed]
    array: Span
    is_last: bool
    is_ambiguous: bool

    @property
    def definitions(self) -> list[Definition]:
        return [each.definition for each in self.tools if each.definition]


def read(text: str, at: int = 0) -> Listing | None:
    """The answer whose object begins at `at`; `None` if it lists no tools. Raises `ValueError`, `RecursionError`."""
    answer, is_ambiguous = spans.members(text, at, ANSWER)
    found = answer.get("result")
    if found is None or text[found.start] != "{":
        return None
    result, is_result_ambiguous = spans.members(text, found.start, RESULT)
    array, kind, cursor = result.get("tools"), result.get("resultType"), result.get("nextCursor")
    if array is None or text[array.start] != "[" or (kind and kind.of(text) not in ('"complete"', "null")):
        return None
    tools = [_listed(text, span) for span in spans.elements(text, array.start)]
    return Listing(tools, array, cursor is None or cursor.of(text) == "null", is_ambiguous or is_result_ambiguous)


def names_tools(text: str, result: Span) -> bool:
    """Whether some reader may find tools in a result that `read` takes for no list: under a name in other letters, in
    one of two, or beside a kind of result that it does not look at.
    """
    if text[result.start] != "{":
        return False
    members, is_ambiguous = spans.members(text, result.start, RESULT)
    named = [value for name, value in members.items() if name.casefold() == "tools"]
    return any(is_ambiguous or text[value.start] == "[" for value in named)


def canonical(text: str) -> str:
    """The canonical form of a definition, as the service keeps it. Raises `ValueError` and `RecursionError`."""
    members, _ = spans.members(text, 0)
    return _canonical({key: _spelled(members[key].of(text)) for key in KEYS if key in members})


def _listed(text: str, span: Span) -> Listed:
    if text[span.start] != "{":
        return Listed(span, None)
    members, is_ambiguous = spans.members(text, span.start, NAMED)
    name = _value(members["name"].of(text)) if "name" in members and text[members["name"].start] == '"' else None
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_CHARACTERS:
        return Listed(span, None, is_ambiguous)
    raw = {key: _spelled(members[key].of(text)) for key in KEYS if key in members}
    size = sum(map(len, map(_encoded, raw.values())))
    whole = span.of(text)
    kept = whole if len(_encoded(whole)) <= MAX_KEPT_BYTES else ""
    return Listed(span, Definition(name, _digest(raw, size), kept), is_ambiguous)


def _digest(raw: dict[str, str], size: int) -> str:
    body = "\0".join(raw.get(key, "") for key in KEYS)
    if size <= MAX_KEPT_BYTES:
        with contextlib.suppress(RecursionError):  # then it is known by what stands there, as one that is too long
            body = _canonical(raw)
    return hashlib.sha256(_encoded(body)).hexdigest()


def _canonical(raw: dict[str, str]) -> str:
    fields = {key: _value(value) for key, value in raw.items()}
    said = {key: value for key, value in fields.items() if value is not None}
    return json.dumps(said, sort_keys=True, separators=(",", ":"))


def _value(text: str) -> Any:
    return json.loads(text, strict=False, parse_float=_fraction, parse_int=_whole)


def _fraction(text: str) -> int | float | str:
    value = float(text)
    if math.isinf(value):
        return text
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _whole(text: str) -> int | str:
    return int(text) if len(text) <= _LONGEST_EXACT else text


def _spelled(text: str) -> str:
    """`text` with a lone surrogate's escape as six characters; anything else stays as it is."""
    return _ESCAPES.sub(lambda match: rf"\\u{match[1]}" if match[1] else match[0], text) if "\\u" in text else text


def _encoded(text: str) -> bytes:
    """A byte that was no UTF-8 stands in `text` as a lone surrogate, and is that byte again."""
    return text.encode("utf-8", "surrogateescape")
