"""How a client writes one server: the names of the members that matter here, and what it calls the transports.

Cursor     {"command": "npx", "args": ["-y", "x"]}              {"url": "https://…", "headers": {…}}
OpenCode   {"type": "local", "command": ["npx", "-y", "x"]}     {"type": "remote", "url": "https://…"}
Goose      {type: stdio, cmd: npx, args: [-y, x]}               {type: streamable_http, uri: "https://…"}
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

Transport = Literal["", "http", "sse"]  # "" where an entry does not say which

HTTP_NAMES = {"http", "streamable-http", "streamable_http", "streamablehttp", "remote"}
STDIO_NAMES = {"stdio", "local"}


class Dialect(NamedTuple):
    """The names of one client. `arguments` is "" where the program and its arguments are one list.

    `urls` has the member's name for each transport it implies; the first is written where none was kept.
    """

    program: str = "command"
    arguments: str = "args"
    urls: tuple[tuple[str, Transport], ...] = (("url", ""),)
    headers: str = "headers"
    local: str = "stdio"
    remote: Mapping[Transport, str] = MappingProxyType({"": "http", "http": "http", "sse": "sse"})

    @property
    def names(self) -> frozenset[str]:
        """Every member that wrapping may change."""
        return frozenset({self.program, self.arguments, self.headers, "type"} | {name for name, _ in self.urls})


COMMON = Dialect()
DIALECTS = {
    "copilot-cli": Dialect(local="local"),
    "windsurf": Dialect(urls=(("serverUrl", ""), ("url", ""))),
    "cline": Dialect(remote={"": "sse", "http": "streamableHttp", "sse": "sse"}),
    "gemini-cli": Dialect(urls=(("url", ""), ("httpUrl", "http"))),
    "codex": Dialect(headers="http_headers"),
    "opencode": Dialect(arguments="", local="local", remote={"": "remote", "http": "remote", "sse": "remote"}),
    "goose": Dialect(
        program="cmd", urls=(("uri", ""),), remote={"": "streamable_http", "http": "streamable_http", "sse": "sse"}
    ),
}
ZEDS_OLD = Dialect(program="path")  # Zed's {"command": {"path": "npx", "args": […]}}

# What signs in a remote entry in a way that only the client itself can go on with.
SIGNED_IN_BY_CLIENT = frozenset(
    {"oauth", "auth", "authProviderType", "headersHelper", "bearer_token_env_var", "env_http_headers", "scopes"}
)
