r"""What one record holds in a run of HTTP (`"transport": "http"` in `session.json`): one message, whole.

    m 0 17 91\n{"jsonrpc":"2.0","id":1,…}             a message of exchange 17, 91 bytes
    m 17 17 104857600\n{"jsonrpc":"2.0","id":1,…      its first bytes; it had 104,857,600
    f 0 17 212\n{"jsonrpc":"2.0","method":"kilometers/http","params":{"status":502,…}}    why there is no message

The head is ASCII: kind, scope, exchange, size on the wire. Everything after its line feed is the message, byte for
byte, line feeds included. An exchange is one HTTP request with its response, numbered from 1 in each process. Scope 0:
ids are unique in the session. Otherwise they are so only in this exchange, as many clients may stand behind one run.
"""

from __future__ import annotations

from typing import NamedTuple

MESSAGE, FAILURE, NOTE = "m", "f", "n"  # a note is of no fault: a client that closed a stream, a redirect
METHOD = "kilometers/http"
_MAX_HEAD_BYTES = 64


class Entry(NamedTuple):
    """`content` is shorter than `size` where the end was not kept."""

    kind: str
    scope: int
    exchange: int
    size: int
    content: bytes


def encode(entry: Entry) -> bytes:
    return b"%b %d %d %d\n%b" % (entry.kind.encode(), *entry[1:])


def decode(payload: bytes) -> Entry:
    """Raises `ValueError` on anything `encode` did not make."""
    head, _, _ = payload[:_MAX_HEAD_BYTES].partition(b"\n")
    kind, scope, exchange, size = head.decode("ascii").split(" ")
    return Entry(kind, int(scope), int(exchange), int(size), payload[len(head) + 1 :])
