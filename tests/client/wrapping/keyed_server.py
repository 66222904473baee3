"""A real MCP server over HTTP that answers only who has its address with the key, and sends the header: else 401.

python -m tests.client.wrapping.keyed_server       prints the port it listens on
"""

from __future__ import annotations

import socket

import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from tests.client.http.remote_server import server

KEY_OF_ADDRESS, KEY_OF_HEADER = "address-9fKqT2vLx0Zr", "header a b"
_app = server.streamable_http_app(stateless_http=True)


async def keyed(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        found = scope["query_string"].decode(), dict(scope["headers"]).get(b"x-key", b"").decode()
        if found != (f"key={KEY_OF_ADDRESS}", KEY_OF_HEADER):
            await PlainTextResponse("no key", 401)(scope, receive, send)
            return
    await _app(scope, receive, send)


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(keyed, log_level="error", timeout_graceful_shutdown=1)).run(sockets=[listener])


if __name__ == "__main__":
    main()
