"""Twelve clients on three systems: found where they keep their servers, wrapped, shown as covered, given back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from km_client.wrapping import clients
from km_client.wrapping.clients import CLIENTS, System, SystemName

from tests.client.commands.conftest import Km
from tests.client.monitored import KM_CLIENT
from tests.client.wrapping.homes import IDS, SYSTEMS, Home

STDIO = ["monitor", "--server-name", "time", "--", "npx", "--local-timezone", "Europe/Rome"]
REMOTE = ["monitor", "--server-name", "search", "--url", "https://example.test/mcp"]


def states(km: Km) -> dict[str, str]:
    """name → state, from `status`."""
    found = json.loads(km("status", "--offline", "--json").out)["clients"]
    return {server["name"]: server["state"] for file in found for server in file["servers"]}


@pytest.mark.parametrize("client", IDS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_each_client_is_wrapped_and_given_back_on_each_system(
    km: Km, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: SystemName, client: str
) -> None:
    home = Home(tmp_path / "home", system, monkeypatch)
    path = home.write(client)
    before = path.read_bytes()
    monkeypatch.chdir(home.path)
    assert {name: state for name, state in states(km).items() if state != "unfit"} == {"time": "open", "search": "open"}

    done = km("wrap", client)
    assert done.code == 0 and "error" not in done.err, done.err
    assert {state for state in states(km).values() if state != "unfit"} == {"covered"}
    text = path.read_text()
    for word in [KM_CLIENT, *STDIO, *REMOTE, "X-Key: env:KM_HEADER_1", "a b", "quiet"]:
        assert word in text
    wrapped = path.read_bytes()
    assert "Nothing to change." in km("wrap", client).out and path.read_bytes() == wrapped

    assert km("unwrap", client).code == 0
    assert path.read_bytes() == before


def test_every_client_at_once(km: Km, home: Home) -> None:
    before = {home.write(client): home.place(client).read_bytes() for client in IDS}
    assert km("wrap", "--all").code == 0
    assert not [path for path, content in before.items() if path.read_bytes() == content]
    assert km("unwrap", "--all").code == 0
    assert {path: path.read_bytes() for path in before} == before


def test_claude_desktop_from_windows_store_is_found(tmp_path: Path) -> None:
    place = "AppData/Local/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude/claude_desktop_config.json"
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).write_text("{}")
    found = clients.find(System("windows", tmp_path, {}), clients.named(["claude-desktop"]))
    assert [file.path for file in found] == [
        tmp_path / place,
        tmp_path / "AppData/Roaming/Claude/claude_desktop_config.json",
    ]


@pytest.mark.parametrize(
    ("system", "client", "variable", "below"),
    [
        ("linux", "zed", "XDG_CONFIG_HOME", "zed/settings.json"),
        ("linux", "claude-desktop", "XDG_CONFIG_HOME", "Claude/claude_desktop_config.json"),
        ("macos", "codex", "CODEX_HOME", "config.toml"),
        ("linux", "claude-code", "CLAUDE_CONFIG_DIR", ".claude.json"),
        ("windows", "goose", "APPDATA", "Block/goose/config/config.yaml"),
        ("linux", "copilot-cli", "COPILOT_HOME", "mcp-config.json"),
        ("macos", "gemini-cli", "GEMINI_CLI_HOME", ".gemini/settings.json"),
        ("windows", "cline", "CLINE_DIR", "data/settings/cline_mcp_settings.json"),
    ],
)
def test_a_place_moved_by_a_variable_is_followed(system: SystemName, client: str, variable: str, below: str) -> None:
    found = clients.find(System(system, Path("/home/a"), {variable: "/moved"}), clients.named([client]))
    assert Path("/moved") / below in [file.path for file in found]


@pytest.mark.parametrize(
    ("client", "place", "on_windows"),
    [
        ("cline", ".cline/data/settings/cline_mcp_settings.json", ".cline/data/settings/cline_mcp_settings.json"),
        ("windsurf", ".config/devin/mcp_config.json", "AppData/Roaming/devin/mcp_config.json"),
        ("windsurf", ".config/devin/config.json", "AppData/Roaming/devin/config.json"),
    ],
)
@pytest.mark.parametrize("system", SYSTEMS)
def test_where_a_later_version_keeps_its_servers_is_known_too(
    system: SystemName, client: str, place: str, on_windows: str
) -> None:
    found = clients.find(System(system, Path("/home/a"), {}), clients.named([client]))
    assert Path("/home/a") / (on_windows if system == "windows" else place) in [file.path for file in found]


PROJECT = {
    ".mcp.json": "mcpServers",
    ".cursor/mcp.json": "mcpServers",
    ".vscode/mcp.json": "servers",
    ".zed/settings.json": "context_servers",
    ".devin/mcp_config.json": "mcpServers",
    ".devin/config.local.json": "mcpServers",
    ".github/mcp.json": "mcpServers",
    ".gemini/settings.json": "mcpServers",
}


def test_a_projects_files_are_wrapped_only_when_the_project_is_named(
    km: Km, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    for place, key in PROJECT.items():
        (project / place).parent.mkdir(parents=True, exist_ok=True)
        (project / place).write_text(json.dumps({key: {"a": {"command": "npx"}}}))
    before = {place: (project / place).read_bytes() for place in PROJECT}
    monkeypatch.chdir(project)
    assert "`km-client wrap --project .` covers the others" in km("status", "--offline").out
    km("wrap", "--all")
    assert {place: (project / place).read_bytes() for place in PROJECT} == before

    assert km("wrap", "--project", ".").code == 0
    for place, key in PROJECT.items():
        assert json.loads((project / place).read_bytes())[key]["a"]["args"][-1] == "npx"
    monkeypatch.chdir(home.path)
    assert km("unwrap", "--all").code == 0, "what was wrapped is known, wherever it is"
    assert {place: (project / place).read_bytes() for place in PROJECT} == before


def test_a_file_that_two_clients_read_is_each_ones_own(km: Km, home: Home) -> None:
    (home.path / ".mcp.json").write_text('{"mcpServers": {"a": {"command": "npx"}}}')
    assert km("wrap", "copilot-cli", "claude-code", "--project", ".").code == 0
    assert "Nothing to change." in km("wrap", "claude-code", "--project", ".").out
    done = km("wrap", "copilot-cli", "zed", "--project", ".")
    assert done.code == 1 and "no configuration of Zed in ." in done.err


def test_no_client_is_missing_from_the_table_of_places() -> None:
    assert len(CLIENTS) == len(set(IDS)) == 12
