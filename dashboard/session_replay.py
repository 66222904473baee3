r"""A session as a file to play again, streamed in the order things were said, in the memory of one page of it.

`replay.jsonl` is the recording: an object a line, each message byte for byte as it was recorded.

    {"sequence":1,"timestamp":"2026-11-22T15:40:00.123456+00:00","direction":"request","type":"request",
     "message_encoding":"text","message":"{\"jsonrpc\":\"2.0\",…}","size":91,"truncated":false,"id":"019aa…"}

`direction` is `request` from the client to the server and `response` from the server to the client; what is no text is
base64, as `message_encoding` says; `truncated` says that `message` is only the beginning of `size` bytes.

`replay.txt` is what `monitor --debug-replay FILE` reads: comments, `DELAY:` and a JSON-RPC message a line.

    # +0.250 client to server
    DELAY: 247ms
    {"jsonrpc":"2.0","id":2,"method":"tools/list"}

There a line break between two tokens of a message is a space. What is no whole JSON-RPC message (a line of something
else, bytes, a message recorded in part, a gap) would be none when played, so a comment stands in its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import partial

import msgspec
import structlog

from core.paging import Page
from dashboard import download
from dashboard.templatetags.units import offset
from dashboard.timeline import GAP_METHOD, gap_words
from events import queries
from events.rows import EventRow, SessionRow

FORMATS = {"jsonl": "application/x-ndjson", "txt": "text/plain; charset=utf-8"}
MAX_COMMENT = 500  # characters: a comment is to be read
_MILLISECOND = timedelta(milliseconds=1)
_NO_LINE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")

_log = structlog.get_logger(__name__)


def stream(customer_id: int, session: SessionRow, form: str) -> Iterator[bytes]:
    """The file, piece by piece. `form` is a key of `FORMATS`."""
    messages, is_whole = 0, False

    def pieces() -> Iterator[bytes]:
        nonlocal messages
        rows = download.every(partial(_page, customer_id, session.session_id), customer_id)
        for piece in _FORMS[form](session, rows):
            yield piece
            messages += 1

    try:
        yield from download.chunks(pieces())
        is_whole = True
    finally:
        _log.info("session_replay_sent", pieces=messages, form=form, is_whole=is_whole)


def file_name(session: SessionRow, form: str) -> str:
    """Harmless in a header and on every disk, whatever the session is called."""
    return f"session-{re.sub(r'[^A-Za-z0-9_-]+', '-', session.session_id)[:64].strip('-') or 'unnamed'}.{form}"


def _page(customer_id: int, session_id: str, after: str | None) -> Page[EventRow]:
    return queries.session_events(customer_id, session_id, after=after, limit=download.PAGE_EVENTS)


def _recording(_: SessionRow, rows: Iterable[EventRow]) -> Iterator[bytes]:
    for row in rows:
        line = {
            "sequence": row.sequence,
            "timestamp": row.timestamp.isoformat(),
            "direction": row.direction,
            "type": row.type,
            "message_encoding": "base64" if row.is_base64 else "text",
            "message": row.message,
            "size": row.size,
            "truncated": row.truncated,
            "id": row.id,
        }
        yield msgspec.json.encode(line) + b"\n"


def _script(session: SessionRow, rows: Iterable[EventRow]) -> Iterator[bytes]:
    server, client = (f"{party.title or party.name} {party.version}" for party in (session.server, session.client))
    yield _comment(f"Kilometers session {session.session_id}")
    yield _comment(f"server: {server}")
    yield _comment(f"client: {client}")
    yield _comment(f"protocol: {session.protocol_version or 'not said'}")
    yield _comment(f"began: {session.started_at.isoformat()}")
    played = 0  # ms since the session began, as a player counts them: whole ones, so that rounding adds up to nothing
    for row in rows:
        way = "client to server" if row.direction == "request" else "server to client"
        head = b"\n" + _comment(f"{offset(row.timestamp, session.started_at)} {way}")
        due = round((row.timestamp - session.started_at) / _MILLISECOND)
        delay = f"DELAY: {_delay(due - played)}\n".encode() if due > played else b""
        played = max(played, due)
        yield head + delay + _played(row)


def _played(row: EventRow) -> bytes:
    """The message as a line to play, or a comment where it cannot be played."""
    if row.method == GAP_METHOD:
        return _comment(f"not recorded: {gap_words(row.message)}")
    if row.is_base64:
        return _comment(f"not played: {row.size} bytes that are not UTF-8")
    if row.truncated:
        kept = len(row.message.encode())
        return _comment(f"not played: truncated, only the first {kept} of {row.size} bytes were recorded")
    if not _is_message(row.message):
        return _comment(f"not played, not JSON-RPC: {row.message[:MAX_COMMENT]}")
    return re.sub(r"[\r\n]+", " ", row.message).strip().encode() + b"\n"


def _is_message(text: str) -> bool:
    """Whether it is one JSON object, or an array (a batch), and nothing else."""
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _delay(milliseconds: int) -> str:
    """`247ms`, `1.5s`: both are durations to the readers of this format."""
    return f"{milliseconds}ms" if milliseconds < 1000 else f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".") + "s"


def _comment(words: str) -> bytes:
    """One line, whatever the words: nobody's name may become a message."""
    return f"# {_NO_LINE.sub(' ', words[: MAX_COMMENT + 100]).strip()}\n".encode()


_FORMS: dict[str, Callable[[SessionRow, Iterable[EventRow]], Iterator[bytes]]] = {
    "jsonl": _recording,
    "txt": _script,
}
