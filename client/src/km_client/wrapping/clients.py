"""The MCP clients whose configurations are known: where each keeps its own on each system, and under which keys.

    find(System("linux", Path("/home/ada"), {}), CLIENTS) → [ConfigFile(CLIENTS[0], Path("/home/ada/.config/…"), …)]

A place that does not exist is given too: whoever asks says what that means. `*` in a place stands for any name.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from km_client.errors import ClientError
from km_client.wrapping.dialect import COMMON, DIALECTS, Dialect

SystemName = Literal["macos", "linux", "windows"]


class System(NamedTuple):
    """Whose files are looked for. Only these variables matter: they are what the clients themselves follow."""

    name: SystemName
    home: Path
    environment: Mapping[str, str]

    def places(self) -> dict[str, str]:
        """What the names in braces of the table mean here."""
        home = str(self.home)
        config = self._variable("XDG_CONFIG_HOME", f"{home}/.config")
        roaming = self._variable("APPDATA", f"{home}/AppData/Roaming")
        application = {"macos": f"{home}/Library/Application Support", "linux": config, "windows": roaming}[self.name]
        return {
            "home": home,
            "config": config,
            "application": application,
            "roaming": roaming,
            "local": self._variable("LOCALAPPDATA", f"{home}/AppData/Local"),
            "claude": self._variable("CLAUDE_CONFIG_DIR", home),
            "codex": self._variable("CODEX_HOME", f"{home}/.codex"),
            "copilot": self._variable("COPILOT_HOME", f"{home}/.copilot"),
            "gemini": self._variable("GEMINI_CLI_HOME", home),
            "cline": self._variable("CLINE_DIR", f"{home}/.cline"),
        }

    def _variable(self, name: str, otherwise: str) -> str:
        return self.environment.get(name) or otherwise


class Client(NamedTuple):
    """One program. `roots` are the ways to its tables of servers; `*` is every member. `own` goes by system.

    Where the way `newer` leads to a table of servers, in the file of a later version, it stands for the `roots`.
    """

    id: str
    title: str
    syntax: Literal["jsonc", "toml", "yaml"]
    roots: tuple[tuple[str, ...], ...]
    own: Mapping[SystemName, tuple[str, ...]]
    project: tuple[str, ...] = ()
    newer: tuple[str, ...] = ()

    @property
    def dialect(self) -> Dialect:
        return DIALECTS.get(self.id, COMMON)


class ConfigFile(NamedTuple):
    """A place where a client looks for its servers."""

    client: Client
    path: Path
    is_project: bool = False


def _everywhere(*places: str) -> Mapping[SystemName, tuple[str, ...]]:
    return {"macos": places, "linux": places, "windows": places}


_SERVERS = (("mcpServers",),)
_CLAUDE_DESKTOP = "{application}/Claude/claude_desktop_config.json"
_STORE = (
    "{local}/Packages/Claude_*/LocalCache/Roaming/Claude/claude_desktop_config.json"  # installed from Windows' store
)
_CLINE = (
    "{cline}/data/settings/cline_mcp_settings.json",  # of its command line, and of later versions in an editor
    "{application}/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
)
_CODEIUM = "{home}/.codeium/windsurf/mcp_config.json"
_DEVIN = ("devin/mcp_config.json", "devin/config.json")  # what Windsurf is called since 2026
_GOOSE = "{config}/goose/config.yaml"
_ZED = "{config}/zed/settings.json"

CLIENTS = (
    Client(
        "claude-desktop",
        "Claude Desktop",
        "jsonc",
        _SERVERS,
        {"macos": (_CLAUDE_DESKTOP,), "linux": (_CLAUDE_DESKTOP,), "windows": (_STORE, _CLAUDE_DESKTOP)},
    ),
    Client(
        "claude-code",
        "Claude Code",
        "jsonc",
        (("mcpServers",), ("projects", "*", "mcpServers")),
        _everywhere("{claude}/.claude.json"),
        (".mcp.json",),
    ),
    Client("cursor", "Cursor", "jsonc", _SERVERS, _everywhere("{home}/.cursor/mcp.json"), (".cursor/mcp.json",)),
    Client(
        "vscode",
        "VS Code",
        "jsonc",
        (("servers",),),
        _everywhere("{application}/Code/User/mcp.json", "{application}/Code/User/profiles/*/mcp.json"),
        (".vscode/mcp.json",),
    ),
    Client(
        "copilot-cli",
        "Copilot CLI",
        "jsonc",
        _SERVERS,
        _everywhere("{copilot}/mcp-config.json"),
        (".mcp.json", ".github/mcp.json"),
    ),
    Client(
        "windsurf",
        "Windsurf / Devin",
        "jsonc",
        _SERVERS,
        {
            "macos": (_CODEIUM, *(f"{{config}}/{place}" for place in _DEVIN)),
            "linux": (_CODEIUM, *(f"{{config}}/{place}" for place in _DEVIN)),
            "windows": (_CODEIUM, *(f"{{roaming}}/{place}" for place in _DEVIN)),
        },
        (".devin/mcp_config.json", ".devin/config.json", ".devin/config.local.json"),
    ),
    Client(
        "zed",
        "Zed",
        "jsonc",
        (("context_servers",),),
        {"macos": ("{home}/.config/zed/settings.json",), "linux": (_ZED,), "windows": ("{roaming}/Zed/settings.json",)},
        (".zed/settings.json",),
    ),
    Client("cline", "Cline", "jsonc", _SERVERS, _everywhere(*_CLINE)),
    Client(
        "gemini-cli",
        "Gemini CLI",
        "jsonc",
        _SERVERS,
        _everywhere("{gemini}/.gemini/settings.json"),
        (".gemini/settings.json",),
    ),
    Client("codex", "Codex", "toml", (("mcp_servers",),), _everywhere("{codex}/config.toml"), (".codex/config.toml",)),
    Client(
        "opencode",
        "OpenCode",
        "jsonc",
        (("mcp",),),
        _everywhere("{config}/opencode/opencode.json", "{config}/opencode/opencode.jsonc"),
        ("opencode.json", "opencode.jsonc", ".opencode/opencode.json", ".opencode/opencode.jsonc"),
        newer=("mcp", "servers"),
    ),
    Client(
        "goose",
        "Goose",
        "yaml",
        (("extensions",),),
        {"macos": (_GOOSE,), "linux": (_GOOSE,), "windows": ("{roaming}/Block/goose/config/config.yaml",)},
    ),
)


def this_system() -> System:
    """The machine this runs on, and its user."""
    names: dict[str, SystemName] = {"darwin": "macos", "win32": "windows"}
    try:
        return System(names.get(sys.platform, "linux"), Path.home(), os.environ)
    except RuntimeError:
        raise ClientError("no_home", "the home directory is unknown", "set HOME") from None


def named(names: Sequence[str]) -> list[Client]:
    """The clients of these names, each once, in the table's order; all of them for no name."""
    known = {client.id: client for client in CLIENTS}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean `{near[0]}`? " if near else ""
            raise ClientError(
                "unknown_client", f"`{name}` is no client that is known", f"{hint}known are {', '.join(known)}", 2
            )
    return [client for client in CLIENTS if not names or client.id in names]


def find(system: System, clients: Sequence[Client]) -> list[ConfigFile]:
    """The places of the user's own configurations, each once."""
    places = system.places()
    return [
        ConfigFile(client, path)
        for client in clients
        for template in client.own[system.name]
        for path in _matching(Path(template.format(**places)))
    ]


def find_in_project(directory: Path, clients: Sequence[Client]) -> list[ConfigFile]:
    """The places of the configurations that a project has for those who work in it."""
    return [ConfigFile(client, directory / place, True) for client in clients for place in client.project]


def _matching(path: Path) -> Iterator[Path]:
    """`path`, or what exists in its place where it has a `*`."""
    if "*" not in str(path):
        yield path
        return
    at = next(number for number, part in enumerate(path.parts) if "*" in part)
    yield from sorted(Path(*path.parts[:at]).glob("/".join(path.parts[at:])))
