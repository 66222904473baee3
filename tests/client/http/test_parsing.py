"""No two parsers read a message differently: what ours accepts means the same to h11; the rest is refused."""

from __future__ import annotations

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from km_client.proxy.http import bodies, heads
from km_client.proxy.http.heads import BadMessageError

CRLF = b"\r\n"
TOKENS = st.text("abcXYZ019-_!~", min_size=1, max_size=12).map(str.encode)
VALUES = st.from_regex(rb"(?:[!-~\x80-\xff](?:[\t !-~\x80-\xff]{0,20}[!-~\x80-\xff])?)?", fullmatch=True)
FRAMING = st.sampled_from(
    [b"", b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Content-Length: 5\r\nContent-Length: 5",
     b"Content-Length: +5", b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked",
     b"Transfer-Encoding : chunked", b"Transfer-Encoding: xchunked", b"Content-Length: 0x5", b"Content-Length: 5,5",
     b"transfer-encoding: Chunked", b"Transfer-Encoding:\tchunked", b"X: y\r\n Content-Length: 7", b"Content-Length: "]
)  # fmt: skip
PAYLOADS = st.sampled_from(
    [b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"5;x=y\r\nhello\r\n0\r\nT: v\r\n\r\n", b"05\r\nhello\r\n0\r\n\r\n",
     b"5\nhello\n0\n\n", b"5\r\nhelloX\r\n0\r\n\r\n", b"-5\r\nhello\r\n0\r\n\r\n", b"5 \r\nhello\r\n0\r\n\r\n",
     b"0x5\r\nhello\r\n0\r\n\r\n", b"fffffffffffffffff\r\n", b"5\r\nhello\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n"]
)  # fmt: skip
GOOD = b"POST /mcp HTTP/1.1\r\nHost: a\r\n"


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request, nearly right more often than right."""
    fields = draw(st.lists(st.tuples(TOKENS, VALUES), max_size=4))
    lines = [b"POST /%b HTTP/1.1" % draw(TOKENS), b"Host: a", *(b"%b: %b" % field for field in fields)]
    framing = draw(FRAMING)
    data = CRLF.join([*lines, *([framing] if framing else []), b"", b""]) + draw(PAYLOADS)
    if draw(st.booleans()):
        return data
    at = draw(st.integers(0, len(data) - 1))
    return data[:at] + draw(st.sampled_from([b"\r", b"\n", b"\0", b" ", b"\t", b":", b"\x80", b""])) + data[at + 1 :]


def ours(data: bytes) -> tuple[object, ...] | None:
    """Method, target, headers, body and what is left, or `None` for a refusal or an unfinished message."""
    try:
        taken = heads.take_head(data)
        if taken is None:
            return None
        head = heads.parse_request(taken[0])
        body = bodies.request_body(head)
        content = body.feed(taken[1])
    except BadMessageError:
        return None
    headers = [(name.lower(), value) for name, value in head.headers]
    return (head.method, head.target, headers, content, body.rest) if body.is_whole else None


def theirs(data: bytes) -> tuple[object, ...]:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    content = b""
    while isinstance(event := connection.next_event(), h11.Data):
        content += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    headers = [(bytes(name), bytes(value)) for name, value in request.headers]
    return bytes(request.method), bytes(request.target), headers, content, connection.trailing_data[0]


@settings(deadline=None)
@given(requests())
@example(GOOD + b"Content-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n\r\n")
@example(GOOD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET")
def test_what_is_accepted_means_the_same_to_h11(data: bytes) -> None:
    read = ours(data)
    if read is not None:
        method, target, headers, content, rest = theirs(data)
        normal = [(name, b"chunked" if name == b"transfer-encoding" else value) for name, value in read[2]]  # type: ignore[attr-defined]
        assert (read[0], read[1], normal, read[3], read[4]) == (method, target, headers, content, rest)


@settings(deadline=None)
@given(requests(), st.integers(1, 7))
def test_pieces_are_read_as_the_whole(data: bytes, size: int) -> None:
    taken = heads.take_head(data)
    if taken is None:
        return
    read = ours(data)
    try:
        body = bodies.request_body(heads.parse_request(taken[0]))
        content = b"".join(body.feed(taken[1][at : at + size]) for at in range(0, len(taken[1]), size))
    except BadMessageError:
        assert read is None
        return
    assert (read is None) == (not body.is_whole)
    if read is not None:
        assert (content, body.rest) == (read[3], read[4])


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=30), max_size=5), st.integers(1, 9))
def test_chunks_we_encode_are_what_h11_decodes(contents: list[bytes], size: int) -> None:
    coded = b"".join(map(bodies.encode_chunk, contents)) + bodies.LAST_CHUNK
    assert theirs(GOOD + b"Transfer-Encoding: chunked\r\n\r\n" + coded)[3] == b"".join(contents)
    body = bodies.ChunkedBody()
    assert b"".join(body.feed(coded[at : at + size]) for at in range(0, len(coded), size)) == b"".join(contents)
    assert body.is_whole


@pytest.mark.parametrize(
    "head",
    [
        GOOD + b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        GOOD + b"Content-Length: 5\r\nContent-Length: 6",
        GOOD + b"Content-Length: 5, 5",
        GOOD + b"Content-Length: -1",
        GOOD + b"Content-Length: \xb2",
        GOOD + b"Transfer-Encoding: gzip, chunked",
        GOOD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        GOOD + b"Transfer-Encoding: \x0bchunked",
        GOOD + b"Content-Length : 5",
        GOOD + b"X: a\r\n Content-Length: 5",
        GOOD + b"X: a\rContent-Length: 5",
        GOOD + b"X: a\nContent-Length: 5",
        GOOD + b"X: a\0b",
        GOOD + b": a",
        b"POST /mcp HTTP/1.1 \r\nHost: a",
        b"POST  /mcp HTTP/1.1\r\nHost: a",
        b"POST /m cp HTTP/1.1\r\nHost: a",
        b"PO(ST /mcp HTTP/1.1\r\nHost: a",
        b"POST /mcp\r\nHost: a",
        b"POST /mcp HTTP/2.0\r\nHost: a",
        b"PRI * HTTP/2.0",
        b"POST /mcp HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked",
    ],
)
def test_what_parsers_disagree_on_is_refused(head: bytes) -> None:
    with pytest.raises(BadMessageError):
        bodies.request_body(heads.parse_request(head))


@pytest.mark.parametrize(
    "coded",
    [b"5 x\r\nhello", b"0x5\r\nhello", b"+5\r\n", b"5\nhello\r\n", b"5\r\nhello0\r\n", b"\r\n", b"g\r\n", b"1" * 300,
     b"5\r\nhello\n0\r\n\r\n", b"0\r\nbad trailer\r\n\r\n", b"5;\0\r\nhello\r\n"],
)  # fmt: skip
def test_a_chunk_that_is_not_as_it_should_be_is_refused(coded: bytes) -> None:
    with pytest.raises(BadMessageError):
        bodies.ChunkedBody().feed(coded)


def test_a_response_ends_where_its_method_and_status_say() -> None:
    chunked = heads.parse_response(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked")
    assert isinstance(bodies.response_body(chunked, b"GET"), bodies.ChunkedBody)
    assert bodies.response_body(chunked, b"HEAD").is_whole
    assert bodies.response_body(
        heads.parse_response(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9"), b"GET"
    ).is_whole
    until_close = bodies.response_body(heads.parse_response(b"HTTP/1.1 200"), b"GET")
    assert not until_close.is_whole and until_close.end()


def test_what_concerns_one_connection_goes_and_framing_stays() -> None:
    fields = [(b"Connection", b"close, X-Own, content-length"), (b"X-Own", b"1"), (b"TE", b"trailers")]
    kept = [(b"content-length", b"2"), (b"Authorization", b"Bearer x"), (b"Mcp-Session-Id", b"s")]
    assert heads.end_to_end([*fields, *kept, (b"Upgrade", b"h2c"), (b"Keep-Alive", b"5")]) == kept


def test_a_body_of_tiny_chunks_is_read_in_one_walk() -> None:
    coded = b"1\r\nx\r\n" * 40_000 + bodies.LAST_CHUNK
    body = bodies.ChunkedBody()
    assert body.feed(coded) == b"x" * 40_000
    assert body.is_whole
