"""Homes of people who use MCP clients: for each system the place and a configuration of each client, as it writes them.

home = Home(tmp_path, "linux", monkeypatch);  home.write("cursor") → its path, with two servers in it
"""

from __future__ import annotations

from pathlib import Path

import pytest
from km_client.wrapping import clients
from km_client.wrapping.clients import CLIENTS, SystemName

SYSTEMS: tuple[SystemName, ...] = ("macos", "linux", "windows")
IDS = [client.id for client in CLIENTS]
APPLICATION = {"macos": "Library/Application Support", "linux": ".config", "windows": "AppData/Roaming"}
CLINE = "Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"

# Written out once more, not computed from the table that it checks. `@` is the system's own place.
PLACES = {
    "claude-desktop": "@/Claude/claude_desktop_config.json",
    "claude-code": ".claude.json",
    "cursor": ".cursor/mcp.json",
    "vscode": "@/Code/User/mcp.json",
    "copilot-cli": ".copilot/mcp-config.json",
    "windsurf": ".codeium/windsurf/mcp_config.json",
    "zed": ".config/zed/settings.json",
    "cline": f"@/{CLINE}",
    "gemini-cli": ".gemini/settings.json",
    "codex": ".codex/config.toml",
    "opencode": ".config/opencode/opencode.json",
    "goose": ".config/goose/config.yaml",
}
ON_WINDOWS = {"zed": "@/Zed/settings.json", "goose": "@/Block/goose/config/config.yaml"}

_COMMON = """{
  // kept by hand
  "theme": "dark",
  "mcpServers": {
    "time": {
      "command": "COMMAND",
      "args": [
        "--local-timezone", // where I live
        "Europe/Rome",
      ],
      "env": {"MODE": "quiet"},
    },
    "search": { "url": "https://example.test/mcp", "headers": { "X-Key": "a b" } }
  }
}
"""
SAMPLES = {
    **dict.fromkeys(IDS, _COMMON),
    "claude-code": """{"numStartups": 3, "projects": {"/srv/app": {"mcpServers": {
  "time": {"type": "stdio", "command": "COMMAND", "args": ["--local-timezone", "Europe/Rome"], "env": {"MODE": "quiet"}}
}}}, "mcpServers": {"search": {"type": "http", "url": "https://example.test/mcp", "headers": {"X-Key": "a b"}}}}""",
    "vscode": _COMMON.replace("mcpServers", "servers"),
    "windsurf": _COMMON.replace('"url"', '"serverUrl"'),
    "zed": _COMMON.replace("mcpServers", "context_servers"),
    "codex": """# kept by hand
model = "o"

[mcp_servers.time]
command = 'COMMAND'   # not on the PATH
args = [
  "--local-timezone", # where I live
  "Europe/Rome",
]

[mcp_servers.time.env]
MODE = "quiet"

[mcp_servers.search]
url = "https://example.test/mcp"
http_headers = { "X-Key" = "a b" }
""",
    "opencode": """{"$schema": "https://opencode.ai/config.json", "mcp": {
  "time": {"type": "local", "command": ["COMMAND", "--local-timezone", "Europe/Rome"],
    "environment": {"MODE": "quiet"}},
  /* far away */ "search": {"type": "remote", "url": "https://example.test/mcp", "headers": {"X-Key": "a b"}}
}}
""",
    "goose": """# kept by hand
extensions:
  developer:
    type: builtin
    enabled: true
  time:
    type: stdio
    cmd: COMMAND   # not on the PATH
    args:
    - --local-timezone
    - "Europe/Rome"  # where I live
    envs:
      MODE: quiet
  search:
    type: streamable_http
    uri: https://example.test/mcp
    headers:
      X-Key: a b
    timeout: 300
GOOSE_MODE: auto
""",
}


class Home:
    """A home of one system's user, which `km-client` finds as its own."""

    def __init__(self, path: Path, system: SystemName, patch: pytest.MonkeyPatch) -> None:
        self.path, self.system = path, system
        patch.setattr(clients, "this_system", lambda: clients.System(system, path, {}))

    def place(self, client: str) -> Path:
        written = ON_WINDOWS.get(client, PLACES[client]) if self.system == "windows" else PLACES[client]
        return self.path / written.replace("@", APPLICATION[self.system])

    def write(self, client: str, text: str | bytes | None = None, *, command: str = "npx") -> Path:
        """The client's configuration; by default the sample with this command."""
        path = self.place(client)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = SAMPLES[client].replace("COMMAND", command) if text is None else text
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path
