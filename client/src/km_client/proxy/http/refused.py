"""An answer that is no message: what the client's person is told of it, and what the recording keeps."""

from __future__ import annotations

from km_client.proxy.http.desk import Failure
from km_client.proxy.http.dialling import DialError
from km_client.proxy.http.heads import BadMessageError, value
from km_client.proxy.http.hiding import hidden_url
from km_client.proxy.http.http_client import Answer, AnswerError
from km_client.proxy.http.json_rpc import INVALID_REQUEST
from km_client.proxy.http.tape import SHOWN_BYTES

ERROR_BYTES = 1024 * 1024
BROKEN = (ConnectionError, BadMessageError, DialError, AnswerError, OSError)


def refusal_of(answer: Answer, facts: dict[str, object], *, has_session: bool) -> Failure:
    """Of a status that is no success."""
    status, reason = answer.status, text_of(answer.head.reason)
    text = f"the server answered with {status} {reason}".rstrip()
    if status == 401:
        text += ": it wants credentials; give them with --header 'Authorization: Bearer ${VARIABLE}'"
    elif status == 404 and has_session:
        return Failure(f"{text}: the session is over; connect again", INVALID_REQUEST, facts)
    elif 300 <= status < 400 and "location" in facts:
        text += f" to {facts['location']}: if that is the server, give it as --url"
    return Failure(text, facts=facts)


async def body_of(answer: Answer) -> bytes:
    """As much of it as there is; nothing if it breaks off."""
    try:
        return await answer.read(ERROR_BYTES)
    except BROKEN:
        return b""


def facts_of(answer: Answer, body: bytes) -> dict[str, object]:
    """What the recording says of an answer that is no message."""
    headers = answer.head.headers
    facts = {
        "status": answer.status,
        "reason": text_of(answer.head.reason),
        "content_type": text_of(answer.media_type),
        "location": hidden_url(text_of(value(headers, b"location"))),
        "www_authenticate": text_of(value(headers, b"www-authenticate")),
        "body": text_of(body[:SHOWN_BYTES]),
    }
    return {name: fact for name, fact in facts.items() if fact}


def text_of(content: bytes) -> str:
    """For a person, whatever the bytes are."""
    return content.decode("utf-8", "replace")
