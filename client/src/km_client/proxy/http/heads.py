r"""The head of an HTTP/1.1 message, sans-I/O: parsed so strictly that no two parsers can read it differently.

    take_head(b"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")  ->  (head, b"{}")
    parse_request(head)   ->  RequestHead(method=b"POST", target=b"/mcp", minor=1, headers=[(b"Host", b"a"), …])

A relay that reads a message in one way and forwards it to a server that reads it in another can be made to smuggle
requests. So whatever RFC 9112 lets a recipient tolerate is refused here: bare CR or LF, folded lines (§5.2), a space
before the colon (§5.1), two `Content-Length`s or one beside `Transfer-Encoding` (§6.3), any coding but `chunked`.
Names and values keep their bytes and their order.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_HEAD_BYTES = 64 * 1024  # eight times what common servers take: a refusal is to be theirs
MAX_HEADERS = 256
MAX_LENGTH_DIGITS = 18  # an exabyte; more would overflow somebody's integer
Headers = list[tuple[bytes, bytes]]

_END = b"\r\n\r\n"
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/(\d)\.(\d)")
_STATUS_LINE = re.compile(rb"HTTP/(\d)\.(\d) (\d{3})(?: ([\t\x20-\x7e\x80-\xff]*))?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*"
                    rb"[\x21-\x7e\x80-\xff])?)?)[ \t]*")  # fmt: skip
_HOP_BY_HOP = {
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"proxy-authorization",
    b"proxy-authenticate",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}


class BadMessageError(Exception):
    """What a peer sent is not HTTP/1.1 as it is meant. `status` is what a client is answered."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


class RequestHead(NamedTuple):
    """`minor` is 1 for HTTP/1.1 and 0 for HTTP/1.0."""

    method: bytes
    target: bytes
    minor: int
    headers: Headers


class ResponseHead(NamedTuple):
    status: int
    reason: bytes
    minor: int
    headers: Headers


def take_head(data: bytes) -> tuple[bytes, bytes] | None:
    """The head (without the empty line) and what follows it; `None` while it is not whole. Raises `BadMessageError`."""
    end = data.find(_END)
    if end > MAX_HEAD_BYTES or (end < 0 and len(data) > MAX_HEAD_BYTES):
        raise BadMessageError(f"the head is longer than {MAX_HEAD_BYTES} bytes", 431)
    if end < 0 and b"\n\n" in data:  # its sender takes that for the end, and would wait for us as we for it
        raise BadMessageError("the lines of the head end without a carriage return")
    return None if end < 0 else (data[:end], data[end + len(_END) :])


def parse_request(head: bytes) -> RequestHead:
    """Raises `BadMessageError`."""
    line, _, fields = head.partition(b"\r\n")
    match = _REQUEST_LINE.fullmatch(line)
    if not match:
        raise BadMessageError("the request line is not that of HTTP/1.1")
    method, target, major, minor = match.groups()
    if major != b"1" or minor not in (b"0", b"1"):
        raise BadMessageError("only HTTP/1.1 and HTTP/1.0 are spoken here", 505)
    return RequestHead(method, target, int(minor), parse_fields(fields))


def parse_response(head: bytes) -> ResponseHead:
    """Raises `BadMessageError`."""
    line, _, fields = head.partition(b"\r\n")
    match = _STATUS_LINE.fullmatch(line)
    if not match or match[1] != b"1" or match[2] not in (b"0", b"1"):
        raise BadMessageError("the status line is not that of HTTP/1.1", 502)
    return ResponseHead(int(match[3]), match[4] or b"", int(match[2]), parse_fields(fields))


def parse_fields(fields: bytes) -> Headers:
    """The lines of a head, or of trailers. Raises `BadMessageError`."""
    headers = []
    for line in fields.split(b"\r\n") if fields else ():
        match = _FIELD.fullmatch(line)
        if not match:
            raise BadMessageError("a header line is malformed")
        headers.append((match[1], match[2]))
    if len(headers) > MAX_HEADERS:
        raise BadMessageError(f"there are more than {MAX_HEADERS} headers", 431)
    return headers


def encode_request(head: RequestHead) -> bytes:
    return b"".join((head.method, b" ", head.target, b" HTTP/1.1\r\n", _encode_fields(head.headers)))


def encode_response(head: ResponseHead) -> bytes:
    return b"HTTP/1.1 %d %b\r\n%b" % (head.status, head.reason, _encode_fields(head.headers))


def values(headers: Headers, name: bytes) -> list[bytes]:
    """Every value of the header `name` (lower case)."""
    return [value for each, value in headers if each.lower() == name]


def value(headers: Headers, name: bytes) -> bytes:
    """The first value of the header `name` (lower case); empty if there is none."""
    return next((value for each, value in headers if each.lower() == name), b"")


def options(headers: Headers) -> set[bytes]:
    """What `Connection` says, in lower case."""
    return {each.strip().lower() for line in values(headers, b"connection") for each in line.split(b",")} - {b""}


def stays_open(head: RequestHead | ResponseHead) -> bool:
    """Whether the connection may carry another message (RFC 9112 §9.3)."""
    said = options(head.headers)
    return b"close" not in said and (head.minor == 1 or b"keep-alive" in said)


def end_to_end(headers: Headers) -> Headers:
    """Without what concerns one connection only (RFC 9110 §7.6.1). Of framing, `Content-Length` stays."""
    dropped = _HOP_BY_HOP | (options(headers) - {b"content-length", b"host"})
    return [field for field in headers if field[0].lower() not in dropped]


def body_length(headers: Headers, minor: int) -> int | None:
    """How long the body is: bytes, `CHUNKED`, or `None` where nothing says it. Raises `BadMessageError`."""
    lengths, codings = values(headers, b"content-length"), values(headers, b"transfer-encoding")
    if codings:
        if lengths:
            raise BadMessageError("`Content-Length` and `Transfer-Encoding` contradict each other")
        if len(codings) > 1 or codings[0].lower() != b"chunked" or minor == 0:
            raise BadMessageError("the only transfer coding spoken here is `chunked`, in HTTP/1.1", 501)
        return CHUNKED
    if not lengths:
        return None
    if len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > MAX_LENGTH_DIGITS:
        raise BadMessageError("`Content-Length` is not one number")
    return int(lengths[0])


CHUNKED = -1


def _encode_fields(headers: Headers) -> bytes:
    return b"".join([b"%b: %b\r\n" % field for field in headers]) + b"\r\n"
