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

KINDS = ("type", "transport")  # the members that say which transport an entry is of; most clients know one of them
HTTP_NAMES = {"http", "streamable-http", "streamable_http", "streamablehttp", "remote"}
STDIO_NAMES = {"stdio", "local"}


class Dialect(NamedTuple):
    """The names of one client. `arguments` is "" where the program and its arguments are one list.

    `urls` has the member's name for each transport it implies; the first is written where none was kept. Of the kinds
    in `tries_both` the client itself finds out whether the server speaks Streamable HTTP or SSE. What stands in the
    `environment` becomes that of the program: to the character, or with its variables filled in as they are in headers.
    Not so of a client that `fills_headers` alone; but it gives the program those variables, and the monitor fills in
    the ones that are written as it writes them.
    """

    program: str = "command"
    arguments: str = "args"
    urls: tuple[tuple[str, Transport], ...] = (("url", ""),)
    headers: str = "headers"
    environment: str = "env"
    local: str = "stdio"
    remote: Mapping[Transport, str] = MappingProxyType({"": "http", "http": "http", "sse": "sse"})
    tries_both: frozenset[str] = frozenset()
    fills_headers: bool = False

    @property
    def names(self) -> frozenset[str]:
        """Every member that wrapping may change as a whole; of the `environment` it adds to, the rest stays."""
        return frozenset({self.program, self.arguments, self.headers, *KINDS} | {name for name, _ in self.urls})


COMMON = Dialect()
DIALECTS = {
    "vscode": Dialect(tries_both=frozenset({"http", "sse"})),
    "copilot-cli": Dialect(local="local"),
    "windsurf": Dialect(urls=(("serverUrl", ""), ("url", "")), tries_both=frozenset({"http"})),
    "cline": Dialect(remote={"": "sse", "http": "streamableHttp", "sse": "sse"}),
    "gemini-cli": Dialect(urls=(("url", ""), ("httpUrl", "http"))),
    "codex": Dialect(headers="http_headers"),
    "opencode": Dialect(
        arguments="",
        environment="environment",
        local="local",
        remote={"": "remote", "http": "remote", "sse": "remote"},
    ),
    "goose": Dialect(
        program="cmd",
        urls=(("uri", ""),),
        remote={"": "streamable_http", "http": "streamable_http", "sse": "sse"},
        environment="envs",
        fills_headers=True,
    ),
}
ZEDS_OLD = Dialect(program="path")  # Zed's {"command": {"path": "npx", "args": […]}}

# What signs in a remote entry in a way that only the client itself can go on with.
SIGNED_IN_BY_CLIENT = frozenset(
    {
        *("oauth", "auth", "authProviderType", "headersHelper", "oauthClientId", "scopes"),
        *("bearer_token_env_var", "env_http_headers", "oauth_resource"),
    }
)
