"""A new session in place of one that the server has forgotten, as after a restart of it.

A server answers an unknown session id with 404, and the client "MUST start a new session by sending a new
InitializeRequest" (2025-11-25, "Session Management"). A stdio client cannot know; so the bridge says its `initialize`
again, and what the client had set in the old session (subscriptions, a log level) is gone.
"""

from __future__ import annotations

from km_client.proxy.http import json_rpc
from km_client.proxy.http.copies import Room
from km_client.proxy.http.heads import Headers, value
from km_client.proxy.http.http_client import Answer, AnswerError, HttpClient
from km_client.proxy.http.json_rpc import Message
from km_client.proxy.http.looks import EVENT_STREAM, SESSION_ID
from km_client.proxy.http.sse import Decoder

HELLO_BYTES = 1024 * 1024
INITIALIZED = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'


async def renew(client: HttpClient, path: str, hello: Message, fields: Headers, version: str) -> bytes:
    """Say `hello`, the client's own `initialize`, once more. Returns the new session id.

    Raises `AnswerError`, and what an exchange raises.
    """
    async with client.exchange("POST", path, fields, hello.content) as answer:
        if answer.status >= 300 or not (session_id := value(answer.head.headers, SESSION_ID)):
            raise AnswerError(f"the session is over, and the server begins no new one (status {answer.status})")
        message = await _message(answer)
    if message is None or message.is_error or message.result.get("protocolVersion") != version:
        raise AnswerError("the session is over, and a new one would be of another revision; connect again")
    standing = [(b"Mcp-Session-Id", session_id), (b"MCP-Protocol-Version", version.encode())]
    async with client.exchange("POST", path, [*fields, *standing], INITIALIZED) as answer:
        await answer.read(HELLO_BYTES)
    return session_id


async def _message(answer: Answer) -> Message | None:
    """The answer to `initialize`, in whichever form it comes."""
    if answer.media_type != EVENT_STREAM:
        return json_rpc.parse(await answer.read(HELLO_BYTES))
    decoder = Decoder(Room(HELLO_BYTES))
    async for data in answer.pieces():
        for event in decoder.feed(data):
            message = json_rpc.parse(event.data)
            if message and message.answers:
                return message
    return None
