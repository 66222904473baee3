"""What a new customer is asked to do, with the words to paste.

steps(customer, at=moment)   → {"key_prefix": "km_live_0Qm3", "key_used_at": None, "install_snippet": …, "clients": …}
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from customers import api_keys
from customers.models import Customer

# In a checkout: on a public index the name might be somebody else's.
INSTALL = "pip install ./protocol ./sdk/python ./client"
MONITORED = ("monitor", "--", "mcp-server-git", "--repository", ".")


@dataclass(frozen=True, slots=True)
class McpClient:
    """Where an MCP client's servers are configured, and what to put there. `command`: it is run, not put."""

    name: str
    file: str
    snippet: str
    command: bool = False


def _configured(servers_key: str, **more: str) -> str:
    entry = {**more, "command": "km-client", "args": list(MONITORED)}
    return json.dumps({servers_key: {"git": entry}}, indent=2)


CLIENTS = (
    McpClient("Claude Code", "", f"claude mcp add git -- km-client {' '.join(MONITORED)}", command=True),
    McpClient("Claude Desktop", "claude_desktop_config.json", _configured("mcpServers")),
    McpClient("Cursor", ".cursor/mcp.json", _configured("mcpServers")),
    McpClient("VS Code", ".vscode/mcp.json", _configured("servers", type="stdio")),
    McpClient(
        "Codex", "~/.codex/config.toml", f'[mcp_servers.git]\ncommand = "km-client"\nargs = {json.dumps(MONITORED)}'
    ),
)


def steps(customer: Customer, *, at: datetime) -> dict[str, object]:
    """The parts of the steps that differ between customers and servers."""
    key = api_keys.live(customer, at=at).first()
    return {
        "key_prefix": key.prefix if key else "",
        "key_used_at": key.last_used_at if key else None,
        "install_snippet": f"{INSTALL}\nkm-client init --api-url {settings.PUBLIC_URL}",
        "clients": CLIENTS,
    }
