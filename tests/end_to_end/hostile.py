"""Byte streams that broke a relay or a recorder somewhere: each must come out of ours unchanged."""

from __future__ import annotations

import random

MEGABYTE = 1024 * 1024


def _noise(size: int, *, without: bytes = b"") -> bytes:
    """The same bytes in every run, of every value but `without`."""
    data = random.Random(7).randbytes(size)
    return data.translate(None, without) if without else data


def _message(text: bytes) -> bytes:
    return b'{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"' + text + b'"}}\n'


STREAMS: dict[str, bytes] = {
    "nothing": b"",
    "one newline": b"\n",
    "only newlines": b"\n" * 5000,
    "no last newline": _message(b"a") + b'{"jsonrpc":"2.0","method":"cut',
    "one long line": _message(b"x" * 8 * MEGABYTE),
    "a long line without an end": b"y" * 3 * MEGABYTE,
    "20,000 small messages": b"".join(_message(b"%d" % number) for number in range(20_000)),
    "carriage returns": b"".join(_message(b"%d" % number).replace(b"\n", b"\r\n") for number in range(50)),
    "line separators within strings": _message("a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg".encode()),
    "an ANSI code page": _message("Grüße, señor".encode("cp1252")),
    "UTF-16 with a mark": b"\xff\xfe" + '{"jsonrpc":"2.0"}\n'.encode("utf-16-le"),
    "a byte order mark": b"\xef\xbb\xbf" + _message(b"bom"),
    "terminal colours": b"\x1b[31mred\x1b[0m\r\n\x07" + _message(b"after"),
    "NUL bytes": b"\x00" * 1000 + b"\n" + _message(b"a\\u0000b"),
    "lone surrogates": _message(b"\\ud800 and \\udfff"),
    "four-byte characters over every boundary": _message("🦑".encode() * 50_000),
    "numbers no double holds": b'{"jsonrpc":"2.0","id":12345678901234567890123,"result":{"n":1e400,"z":1.000}}\n',
    "keys twice and spaces kept": b'{ "jsonrpc" : "2.0",  "id":1, "id":2 ,"result":{}}  \n',
    "a batch": b'[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"x"}]\n',
    "nested a hundred thousand deep": b"[" * 100_000 + b"]" * 100_000 + b"\n",
    "binary noise in lines": _noise(MEGABYTE),
    "binary noise in one line": _noise(MEGABYTE, without=b"\n"),
}


def frames(stream: bytes) -> list[bytes]:
    """The lines of a stream, split on `\\n` only; an unterminated last line is one too."""
    lines = stream.split(b"\n")
    return lines if lines[-1] else lines[:-1]
