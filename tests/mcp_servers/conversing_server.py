"""A server made with the SDK that uses all a session can hold, in both eras of the protocol.

`count` reports progress, `ask` asks the model and for the roots (up to 2025-11-25), `book` wants an answer before it
goes on (2026-07-28), with or without a state, `wait` begins and never ends, `announce` says that the tools changed.
"""

from __future__ import annotations

import asyncio

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import ElicitRequest, ElicitRequestFormParams, InputRequiredResult, SamplingMessage, TextContent

server = MCPServer("conversing", version="2.0.0")
FORM = ElicitRequestFormParams(
    message="When?", requested_schema={"type": "object", "properties": {"when": {"type": "string"}}}
)


@server.tool()
async def count(last: int, context: Context) -> str:
    for number in range(last):
        await context.report_progress(number, last)
    return "counted"


@server.tool()
async def ask(context: Context) -> str:
    message = SamplingMessage(role="user", content=TextContent(type="text", text="Which color?"))
    await context.session.create_message(messages=[message], max_tokens=10)
    await context.session.list_roots()
    return "asked"


@server.tool()
async def book(with_state: bool, context: Context) -> str | InputRequiredResult:
    if context.input_responses is None:
        state = "booking-1" if with_state else None
        return InputRequiredResult(input_requests={"when": ElicitRequest(params=FORM)}, request_state=state)
    return "booked"


@server.tool()
async def wait(context: Context) -> str:
    await context.report_progress(0)
    await asyncio.Event().wait()
    return "never"


@server.tool()
async def announce(context: Context) -> str:
    await context.notify_tools_changed()
    return "announced"


if __name__ == "__main__":
    server.run()
