r"""JSON's escapes (RFC 8259, 7): which bytes are one character, and a view in which needless escapes are gone.

    plain(rb'a\/b\u0026token=x')  →  View(b'a/b&token=x', …)    .whole(3, 4) → (4, 10): where `\u0026` stands

Encoders differ: one writes `/` as `\/`, others `&`, `<`, `+` and `"` as `\u0026`, `\u003c`, `\u002b` and `\u0022`, and
text within text escapes the escapes. Patterns are written once, for the view; what they find is taken out of the bytes.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right

# A run of backslashes before `/` escapes nothing that matters here; `\u0026` stands in a text, `\\u0026` in a text
# within a text. Letters and digits are unescaped too: nobody writes them so but to hide them.
_NEEDLESS = re.compile(rb"\\(?:\\{0,7}/|\\{0,7}u00(?:[2-7][0-9a-fA-F]|0[9aAdD]))")
_CONTROLS = {0x09: b"\\t", 0x0A: b"\\n", 0x0D: b"\\r", 0x22: b'\\"', 0x5C: b"\\\\"}


class View:
    """The bytes with plain characters for needless escapes, and where each stood before."""

    def __init__(self, content: bytes, escapes: list[tuple[int, int, bytes]]) -> None:
        """`escapes` are (start, end, what stands for it), in order."""
        parts: list[bytes] = []
        self._shown: list[int] = []
        self._shown_ends: list[int] = []
        self._stood = [start for start, _, _ in escapes]
        self._stood_ends = [end for _, end, _ in escapes]
        length = position = 0
        for start, end, plain_text in escapes:
            parts += [content[position:start], plain_text]
            length += start - position
            self._shown.append(length)
            length += len(plain_text)
            self._shown_ends.append(length)
            position = end
        parts.append(content[position:])
        self.content = b"".join(parts) if escapes else content

    def whole(self, start: int, end: int) -> tuple[int, int]:
        """Where the view's `[start, end)` stands in the bytes; an escape is taken as a whole or not at all."""
        if not self._shown:
            return start, end
        number = bisect_right(self._shown, start) - 1
        if number >= 0:
            inside = start < self._shown_ends[number]
            start = self._stood[number] if inside else start - self._shown_ends[number] + self._stood_ends[number]
        number = bisect_left(self._shown, end) - 1
        if number >= 0:
            inside = end < self._shown_ends[number]
            end = self._stood_ends[number] if inside else end - self._shown_ends[number] + self._stood_ends[number]
        return start, end


def plain(content: bytes) -> View:
    """The view of `content`. Most messages have no needless escape, and then it is `content` itself."""
    if b"\\u00" not in content and b"\\/" not in content:
        return View(content, [])
    return View(content, [(*found.span(), _plain(found.group())) for found in _NEEDLESS.finditer(content)])


def _plain(escape: bytes) -> bytes:
    if escape.endswith(b"/"):
        return b"/"
    code = int(escape[-4:], 16)
    control = _CONTROLS.get(code)
    if control is None:
        return escape[: (escape.count(b"\\") - 1) // 2 * 2] + bytes([code])
    # `\\u0022` is `\"` in the text within, and that is `\\\"` out here; what stands before them escapes itself.
    depth = escape.count(b"\\")
    if depth % 2:
        return escape[: depth - 1] + control
    return escape[: depth - 2] + control.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def outside(content: bytes, start: int, end: int) -> tuple[int, int]:
    r"""The span shrunk or grown so that it neither begins nor ends inside an escape such as `\n` or `\u000a`."""
    for width in range(5, 0, -1):
        # A `u` escape reaches five bytes past its backslash, any other one byte.
        at = start - width
        if at >= 0 and content[at : at + 1] == b"\\" and _is_escaping(content, at):
            start = max(start, at + _reach(content, at))
    for width in range(1, 6):
        at = end - width
        if at >= start and content[at : at + 1] == b"\\" and _is_escaping(content, at):
            end = at if at + _reach(content, at) > end else end
            break
    return start, end


def _reach(content: bytes, at: int) -> int:
    return 6 if content[at + 1 : at + 2] == b"u" else 2


def _is_escaping(content: bytes, at: int) -> bool:
    """Whether the backslash at `at` begins an escape, rather than ending the escape `\\\\`."""
    before = at
    while before > 0 and content[before - 1 : before] == b"\\":
        before -= 1
    return (at - before) % 2 == 0
