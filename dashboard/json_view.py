"""JSON as people read it: indented and coloured, from the text as it was sent and never from a parsed copy.

    pretty('{"id":1,"params":{"n":1.50e3}}')   →   {
                                                     "id": 1,
                                                     "params": {
                                                       "n": 1.50e3
                                                     }
                                                   }
with each token in `<span class="k|s|n|w|p">`. Only white space between tokens changes: `1.50e3` stays `1.50e3`, a key
given twice is shown twice, and the beginning of a long message is shown as well as a whole one. Everything is escaped
here. Characters that do not show (controls, zero-width, direction overrides) are shown as their code point, so that
text which hides an instruction from a reader cannot hide it on this page.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from km_protocol.unseen import UNSEEN

MAX_DEPTH = 200  # deeper than any honest message; indentation grows with depth, so a hostile one would fill memory
INDENT = "  "
HEX_COLUMNS = 16

_INSIDE = r'"[^"\\]*+(?:\\.[^"\\]*+)*+'  # possessive: an unclosed quote costs one pass
_PIECE = re.compile(
    rf"""(?P<key>{_INSIDE}"(?=\s*:)) | (?P<string>{_INSIDE}(?:"|\\?\Z)) | (?P<number>-?\d[\d.eE+-]*) | (?P<word>[a-z]+)
       | (?P<open>[\{{\[]) | (?P<close>[\}}\]]) | (?P<comma>,) | (?P<colon>:) | (?P<space>\s+) | (?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)
CLASS = {"key": "k", "string": "s", "number": "n", "word": "w", "open": "p", "close": "p", "comma": "p", "colon": "p"}
_CONTROLS = bytes(code for code in range(128) if UNSEEN.match(chr(code)))


def visible(text: str) -> SafeString:
    """`text` escaped, with the characters that do not show spelled out."""
    if not has_unseen(text):
        return escape(text)
    return mark_safe(UNSEEN.sub(_spell_out, escape(text)))  # noqa: S308 - escaped in this line


def has_unseen(text: str) -> bool:
    """Whether `text` holds characters that do not show. Of ASCII, ten times as fast as looking for each: megabytes are
    shown at once."""
    if not text.isascii():
        return UNSEEN.search(text) is not None
    return len(text.encode().translate(None, _CONTROLS)) != len(text)


def pretty(text: str) -> SafeString:
    """`text`, a JSON value or the beginning of one, indented and coloured; `visible(text)` if nested too deeply."""
    if _depth(text) > MAX_DEPTH:
        return visible(text)
    return mark_safe("".join(_lay_out(text)))  # noqa: S308 - every piece is escaped by _markup


def hex_dump(data: bytes) -> SafeString:
    """Bytes that are not text, sixteen a line: offset, hex, and the ASCII among them."""
    lines = []
    for start in range(0, len(data), HEX_COLUMNS):
        row = data[start : start + HEX_COLUMNS]
        ascii_text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "·" for byte in row)
        lines.append(f"{start:08x}  {row.hex(' '):<{HEX_COLUMNS * 3 - 1}}  {ascii_text}")
    return escape("\n".join(lines))


def pieces(text: str) -> Iterator[tuple[str, str]]:
    """(kind, piece) of everything but the white space between pieces."""
    for match in _PIECE.finditer(text):
        kind = match.lastgroup or "other"
        if kind != "space":
            yield kind, match.group()


def _depth(text: str) -> int:
    deepest = depth = 0
    for kind, _ in pieces(text):
        depth += (kind == "open") - (kind == "close")
        deepest = max(deepest, depth)
    return deepest


def _lay_out(text: str) -> Iterator[str]:
    depth, before = 0, ""
    for kind, piece in pieces(text):
        depth -= kind == "close" and depth > 0
        if _breaks(before, kind):
            yield "\n" + INDENT * depth
        yield _markup(kind, piece)
        depth += kind == "open"
        before = kind


def _breaks(before: str, kind: str) -> bool:
    """Whether a new line begins between two pieces: `{}` and `[]` stay together."""
    if kind == "close":
        return before not in ("open", "")
    return before in ("open", "comma")


def _markup(kind: str, piece: str) -> str:
    body = visible(piece)
    if kind == "other":
        return body
    return f'<span class="{CLASS[kind]}">{body}</span>' + (" " if kind == "colon" else "")


def _spell_out(match: re.Match[str]) -> str:
    character = match.group()
    name = unicodedata.name(character, "control character")
    return f'<span class="unseen" title="{name}">U+{ord(character):04X}</span>'
