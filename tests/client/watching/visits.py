"""Visits of the official SDK's client to a server: what is recorded once, and asked again of the recording.

seen = visit(["mcp-server-time"], environment, tools={"get_current_time": {"timezone": "Europe/Rome"}})
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import anyio
from mcp import Client, StdioServerParameters

READ_SECONDS = 60.0


class Seen(NamedTuple):
    """What the client got: names of tools, results as data, and the progress it was told."""

    server: dict[str, Any]
    tools: list[str]
    results: list[dict[str, Any]]
    progress: list[float]


def visit(
    command: Sequence[str],
    environment: Mapping[str, str],
    calls: Sequence[tuple[str, dict[str, Any]]],
    *,
    mode: str = "legacy",
    **options: Any,
) -> Seen:
    """List the tools and call some."""

    async def go() -> Seen:
        seen: list[float] = []

        async def told(progress: float, total: float | None, message: str | None) -> None:
            seen.append(progress)

        server = StdioServerParameters(command=command[0], args=list(command[1:]), env=dict(environment))
        async with Client(server, mode=mode, read_timeout_seconds=READ_SECONDS, **options) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            results = [
                (await client.call_tool(name, arguments, progress_callback=told)).model_dump(mode="json", by_alias=True)
                for name, arguments in calls
            ]
            server_info = client.server_info.model_dump(mode="json") if client.server_info else {}
            return Seen(server_info, tools, results, seen)

    return anyio.run(go)
