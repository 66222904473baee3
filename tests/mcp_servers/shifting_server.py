"""A server made with the SDK that changes its tools when told, and says so: for what is pinned and held.

tools/call become {"words": "…"}     `read` has this description from now on, `send` is added; `tools/list_changed`
tools/call leave {}                  `read` is removed
"""

from __future__ import annotations

import socket
import sys

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

server = MCPServer("shifting", version="1.0.0")
calls: list[str] = []


def read(path: str) -> str:
    """Reads a file."""
    calls.append(f"read {path}")
    return path


def send(to: str) -> str:
    """Sends a file."""
    calls.append(f"send {to}")
    return to


async def become(words: str, context: Context) -> str:
    """Changes."""
    server.remove_tool("read")
    server.add_tool(read, description=words)
    if not any(tool.name == "send" for tool in await server.list_tools()):
        server.add_tool(send)
    await context.session.send_tool_list_changed()
    return "changed"


async def leave(context: Context) -> str:
    """Removes a tool."""
    server.remove_tool("read")
    await context.session.send_tool_list_changed()
    return "removed"


def called() -> str:
    """The calls that reached this server."""
    return "\n".join(calls)


def main() -> None:
    """`shifting_server.py [stdio|streamable|sse|json|stateless]`; over HTTP it prints its port."""
    for tool in (read, become, leave, called):
        server.add_tool(tool)
    kind = sys.argv[1] if sys.argv[1:] else "stdio"
    if kind == "stdio":
        server.run()
        return
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    if kind == "sse":
        app = server.sse_app()
    else:
        app = server.streamable_http_app(json_response=kind == "json", stateless_http=kind == "stateless")
    uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)).run(sockets=[listener])


if __name__ == "__main__":
    main()
