"""A real MCP server over HTTP for tests, from the official SDK: every kind of message, in each revision and transport.

python tests/client/http/remote_server.py streamable|sse|json|stateless       prints the port it listens on
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import defaultdict

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.streamable_http import EventCallback, EventId, EventMessage, EventStore, StreamId
from mcp.types import JSONRPCMessage, SamplingMessage, TextContent
from pydantic import BaseModel

server = MCPServer("remote")


class Answer(BaseModel):
    color: str


class Memory(EventStore):
    """Every event, so that streams can be resumed."""

    def __init__(self) -> None:
        self.events: list[tuple[StreamId, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: StreamId, message: JSONRPCMessage | None) -> EventId:
        self.events.append((stream_id, message))
        return str(len(self.events))

    async def replay_events_after(self, last_event_id: EventId, send_callback: EventCallback) -> StreamId | None:
        position = int(last_event_id)
        stream = self.events[position - 1][0]
        for number, (each, message) in enumerate(self.events[position:], start=position + 1):
            if each == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


cancelled: defaultdict[str, int] = defaultdict(int)


@server.tool()
def echo(text: str) -> str:
    return text


@server.tool()
def fill(size: int) -> str:
    return "z" * size


@server.tool()
async def count_to(last: int, ctx: Context) -> str:
    for number in range(last):
        await ctx.report_progress(number, last, f"step {number}")
    return f"counted to {last}"


@server.tool()
async def ask_the_model(ctx: Context) -> str:
    message = SamplingMessage(role="user", content=TextContent(type="text", text="Which color?"))
    result = await ctx.session.create_message(messages=[message], max_tokens=10)
    return f"the model said {getattr(result.content, 'text', result.content)}"


@server.tool()
async def ask_the_person(ctx: Context) -> str:
    result = await ctx.elicit("Which color?", Answer)
    return f"the person said {result.action} {getattr(result, 'data', None)}"


@server.tool()
async def wait_long(name: str) -> str:
    try:
        await asyncio.sleep(600)
    except asyncio.CancelledError:
        cancelled[name] += 1
        raise
    return "waited"


@server.tool()
def was_cancelled(name: str) -> int:
    return cancelled[name]


@server.tool()
async def lose_the_connection(ctx: Context) -> str:
    """The stream of this very request ends; the answer comes to whoever takes it up again."""
    await ctx.close_sse_stream()
    await asyncio.sleep(0.1)
    return "found again"


@server.tool()
def fail() -> str:
    raise ValueError("this tool fails")


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    kind = sys.argv[1]
    if kind == "sse":
        app = server.sse_app()
    else:
        app = server.streamable_http_app(
            json_response=kind == "json",
            stateless_http=kind == "stateless",
            event_store=Memory() if kind == "streamable" else None,
            retry_interval=50 if kind == "streamable" else None,
        )
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)).run(sockets=[listener])


if __name__ == "__main__":
    main()
