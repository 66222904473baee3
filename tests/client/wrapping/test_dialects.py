"""What one client's entries say in a manner of their own: it works as before through the monitor, or is left alone."""

from __future__ import annotations

import json
import os
import tomllib
from typing import Any

import pytest
from km_client.proxy.http import target
from km_client.wrapping import plan
from km_client.wrapping.clients import named
from km_client.wrapping.plan import Plan

from tests.client.monitored import KM_CLIENT

BRIDGE = ["monitor", "--server-name", "a", "--url", "https://x/mcp"]
ROOT = {"vscode": "servers", "opencode": "mcp", "zed": "context_servers"}


def made(client: str, text: str) -> Plan:
    """The plan for `text`, which undoes itself to the byte."""
    wrapped = plan.make(text, named([client])[0], KM_CLIENT, [])
    assert plan.make(wrapped.after, named([client])[0], None, wrapped.undo).before == text
    return wrapped


def wrapped(client: str, entry: dict[str, Any]) -> dict[str, Any]:
    """What becomes of one entry."""
    root = ROOT.get(client, "mcpServers")
    after = json.loads(made(client, json.dumps({root: {"a": entry}})).after)
    return dict(after[root]["a"])


def note(client: str, text: str) -> str:
    (server,) = made(client, text).servers
    return server.note


def test_what_a_client_adds_to_a_program_stays() -> None:
    entry = {
        "type": "stdio",
        "command": "${workspaceFolder}/server",
        "args": ["--key", "${input:key}", ""],
        "cwd": "${workspaceFolder}/b",
        "envFile": "${workspaceFolder}/.env",
        "env": {"A": "${env:B}"},
        "dev": {"watch": "src/**"},
        "disabled": True,
    }
    words = ["monitor", "--server-name", "a", "--", entry["command"], "--key", "${input:key}", ""]
    assert wrapped("vscode", entry) == entry | {"command": KM_CLIENT, "args": words}


@pytest.mark.parametrize(
    ("client", "kind", "more"),
    [
        ("vscode", "http", []),
        ("vscode", "sse", []),
        ("cursor", "http", ["--transport", "http"]),
        ("claude-code", "sse", ["--transport", "sse"]),
    ],
)
def test_where_a_client_finds_out_the_transport_the_bridge_does_too(client: str, kind: str, more: list[str]) -> None:
    entry = {"type": kind, "url": "https://x/mcp", "headers": {"A": "Bearer ${input:key}"}}
    bridge = {"type": "stdio", "command": KM_CLIENT, "args": [*BRIDGE, *more, "--header", "A: env:KM_HEADER_1"]}
    assert wrapped(client, entry) == bridge | {"env": {"KM_HEADER_1": "Bearer ${input:key}"}}


@pytest.mark.parametrize(("kind", "more"), [("http", []), ("sse", ["--transport", "sse"])])
def test_windsurf_calls_the_transport_by_its_name(kind: str, more: list[str]) -> None:
    after = wrapped("windsurf", {"url": "https://x/mcp", "transport": kind})
    assert after == {"command": KM_CLIENT, "args": [*BRIDGE, *more], "transport": "stdio"}
    bare = plan.make(json.dumps({"mcpServers": {"a": after}}), named(["windsurf"])[0], None, []).before
    assert json.loads(bare)["mcpServers"]["a"]["transport"] == kind


def test_the_servers_of_opencodes_second_version_are_found() -> None:
    text = '{"mcp": {"timeout": 5, "servers": {"a": {"type": "local", "command": ["npx"], "disabled": true}}}}'
    plan_of_it = made("opencode", text)
    assert [(server.name, server.state, server.is_disabled) for server in plan_of_it.servers] == [("a", "open", True)]
    command = json.loads(plan_of_it.after)["mcp"]["servers"]["a"]["command"]
    assert command == [KM_CLIENT, "monitor", "--server-name", "a", "--", "npx"]


def test_a_server_of_opencodes_first_version_may_be_called_servers() -> None:
    text = '{"mcp": {"servers": {"type": "local", "command": ["npx"]}, "b": {"type": "local", "command": ["uvx"]}}}'
    assert [(server.name, server.state) for server in made("opencode", text).servers] == [
        ("servers", "open"),
        ("b", "open"),
    ]


@pytest.mark.parametrize("value", ["Bearer $TOKEN", "${ TOKEN }", "${A}$B"])
def test_a_variable_that_only_the_client_fills_in_keeps_an_entry_as_it_is(value: str) -> None:
    goose = f"extensions:\n  a:\n    type: streamable_http\n    uri: https://x\n    headers:\n      A: {value}\n"
    assert "only the client itself fills in the variable in `A`" in note("goose", goose)


def test_a_variable_that_goose_gives_to_the_bridge_is_filled_in_there() -> None:
    """The monitor reads `${TOKEN}` of `--header` from its environment, where Goose puts what `env_keys` names."""
    text = "extensions:\n  a: {type: streamable_http, uri: 'https://x', headers: {A: '${TOKEN}'}, env_keys: [TOKEN]}\n"
    planned = made("goose", text)
    assert planned.servers[0].note == "" and '"--header", "A: ${TOKEN}"' in planned.after
    assert target.parse_headers(["A: ${PATH}"]) == [(b"A", os.environb[b"PATH"])]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ("uri: 'https://x', headers: {A: '9fKqT2vLx0Zr${B}'}", "`A` of `headers` has a key beside a variable"),
        ("uri: 'https://x', headers: {A: 'env:${B}'}", "`A` of `headers` begins with `env:`"),
        ("uri: 'https://x/${B}/mcp?key=k'", "`uri` has a key beside a variable"),
    ],
)
def test_what_goose_cannot_fill_in_elsewhere_and_is_secret_is_left_alone(members: str, words: str) -> None:
    assert words in note("goose", f"extensions:\n  a: {{type: streamable_http, {members}}}\n")


def test_an_address_with_a_variable_of_gooses_stays_one() -> None:
    text = "extensions:\n  a: {type: streamable_http, uri: 'https://x/${B}/mcp?a=${C}&b=${D}', env_keys: [B, C, D]}\n"
    assert '"--url", "https://x/${B}/mcp?a=${C}&b=${D}"' in made("goose", text).after


@pytest.mark.parametrize(
    ("client", "url", "value"),
    [
        ("cursor", "https://x/${env:KEY}/mcp", "Bearer ${env:TOKEN}"),
        ("copilot-cli", "https://x/mcp?key=k", "Bearer $TOKEN"),
        ("gemini-cli", "https://x/$KEY/mcp", "$TOKEN"),
        ("opencode", "https://x/{env:KEY}/mcp", "{file:~/token}"),
        ("claude-desktop", "https://x/mcp?key=k", "env:B"),
        ("zed", "https://x/mcp?key=k", "${B}"),
    ],
)
def test_a_variable_moves_to_where_it_is_filled_in_or_not_as_before(client: str, url: str, value: str) -> None:
    """An MCP client that fills in arguments would make the secret one: what the monitor gets is as in the header."""
    after = wrapped(client, {"url": url, "headers": {"A": value}})
    name = "environment" if client == "opencode" else "env"
    assert after[name] == {"KM_HEADER_1": value, "KM_URL": url}
    words = [*after["command"], *after.get("args", [])] if client == "opencode" else after["args"]
    assert words[-4:] == ["--url", "env:KM_URL", "--header", "A: env:KM_HEADER_1"]


def test_a_name_that_is_taken_is_not_used() -> None:
    """On Windows `km_url` would be the same."""
    mine = {"KM_HEADER_1": "1", "km_url": "2", "KM_HEADER_3": 3}
    entry = {"url": "https://x/mcp?key=k", "headers": {"A": "a", "B": "b", "C": ""}, "env": mine}
    after = wrapped("cursor", entry)
    assert after["args"][-8:] == [
        *("--url", "env:KM_URL_2", "--header", "A: env:KM_HEADER_2"),
        *("--header", "B: env:KM_HEADER_4", "--header", "C: "),
    ]
    assert after["env"] == mine | {"KM_HEADER_2": "a", "KM_HEADER_4": "b", "KM_URL_2": "https://x/mcp?key=k"}


@pytest.mark.parametrize(
    "variables",
    ["env = {}", 'env = { A = "b" }', "[mcp_servers.a.env] # mine", '[mcp_servers.a.env]\n  A = "b"', ""],
)
def test_codex_may_write_its_variables_in_any_manner(variables: str) -> None:
    planned = made("codex", f'[mcp_servers.a]\nurl = "https://x/mcp?key=k"\n{variables}\n\n[b]\nc = 1\n')
    assert "# mine" not in variables or "[mcp_servers.a.env] # mine\n" in planned.after
    entry = tomllib.loads(planned.after)["mcp_servers"]["a"]
    assert entry["env"].pop("KM_URL") == "https://x/mcp?key=k"
    assert entry["env"] == ({"A": "b"} if "A" in variables else {}) and "env:KM_URL" in entry["args"]


def test_codexs_variables_as_dotted_keys_are_left_alone() -> None:
    assert "dotted keys" in note("codex", '[mcp_servers.a]\nurl = "https://x/mcp?key=k"\nenv.A = "b"\n')


def test_a_price_in_a_header_is_no_variable() -> None:
    assert note("goose", "extensions:\n  a: {type: streamable_http, uri: 'https://x', headers: {A: '$5'}}\n") == ""


def test_a_monitor_of_a_monitor_keeps_no_other_server_from_being_wrapped() -> None:
    twice = {"command": "km-client", "args": ["monitor", "--", "km-client", "monitor", "--", "npx"]}
    text = json.dumps({"mcpServers": {"a": twice, "b": {"command": "uvx"}}})
    planned = plan.make(text, named(["cursor"])[0], KM_CLIENT, [])
    assert [server.state for server in planned.servers] == ["older", "open"]
    assert planned.after.count(KM_CLIENT) == 2
    before = json.loads(planned.before)["mcpServers"]["a"]
    assert before == {"command": "km-client", "args": ["monitor", "--", "npx"]}
