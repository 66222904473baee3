"""A remote server's secrets become variables of its own entry, never arguments, and come back with what was changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from km_client.wrapping import rewriting
from km_client.wrapping.documents.editing import Pen
from km_client.wrapping.documents.tree import Edit

from tests.client.commands.conftest import Km
from tests.client.monitored import KM_CLIENT
from tests.client.wrapping.homes import Home

BRIDGE = ["monitor", "--server-name", "a", "--url"]
SECRETS = {"url": "https://me:secret-1@x/mcp", "headers": {"A": "secret-2"}, "env": {"B": "c"}}


def server(path: Path) -> Any:
    return json.loads(path.read_text())["mcpServers"]["a"]


@pytest.mark.parametrize(
    "address", ["https://x/mcp?key=secret-1", "https://me:secret-1@x/mcp", "https://x/s/secret-19fKqT2vLx0Zr/mcp"]
)
def test_no_secret_becomes_an_argument_or_is_shown(km: Km, home: Home, address: str) -> None:
    path = home.write("cursor", json.dumps({"mcpServers": {"a": SECRETS | {"url": address}}}))
    done = km("wrap", "cursor", "--dry-run")
    assert "secret-" not in done.err + done.out
    done = km("wrap", "cursor")
    assert done.err == "" and "secret-" not in done.out
    entry = server(path)
    assert entry["args"][3:] == ["--url", "env:KM_URL", "--header", "A: env:KM_HEADER_1"]
    assert entry["env"] == {"KM_HEADER_1": "secret-2", "KM_URL": address, "B": "c"}


def test_an_address_without_a_secret_is_one_in_the_arguments(km: Km, home: Home) -> None:
    path = home.write("cursor", '{"mcpServers": {"a": {"url": "https://mcp.example.com/v1/mcp#here"}}}')
    km("wrap", "cursor")
    assert server(path) == {"command": KM_CLIENT, "args": [*BRIDGE, "https://mcp.example.com/v1/mcp#here"]}


def test_what_a_person_changed_in_the_variables_comes_back(km: Km, home: Home) -> None:
    path = home.write("cursor", json.dumps({"mcpServers": {"a": SECRETS}}))
    km("wrap", "cursor")
    path.write_text(path.read_text().replace("secret-", "renewed-").replace('"B": "c"', '"B": "d"'))
    km("unwrap", "cursor")
    changed = {"url": "https://me:renewed-1@x/mcp", "headers": {"A": "renewed-2"}, "env": {"B": "d"}}
    assert server(path) == changed


@pytest.mark.parametrize("order", [("command", "args", "env"), ("env", "args", "command"), ("args", "env", "command")])
def test_our_variables_leave_nothing_behind(km: Km, home: Home, order: tuple[str, ...]) -> None:
    words = [*BRIDGE, "env:KM_URL_2", "--header", "A: env:KM_HEADER_2", "--header", "B: env:TOKEN"]
    variables = {"KM_URL_2": "https://x", "KM_HEADER_2": "b", "TOKEN": "t", "KM_HEADER_1": "mine"}
    entry = {"command": KM_CLIENT, "args": words, "env": variables}
    path = home.write("cursor", json.dumps({"mcpServers": {"a": {name: entry[name] for name in order}}}))
    km("unwrap", "cursor")
    kept = {"TOKEN": "t", "KM_HEADER_1": "mine"}
    assert server(path) == {"url": "https://x", "headers": {"A": "b", "B": "t"}, "env": kept}

    alone = entry | {"args": words[:-2], "env": {"KM_URL_2": "https://x", "KM_HEADER_2": "b"}}
    path.write_text(json.dumps({"mcpServers": {"a": {name: alone[name] for name in order}}}))
    km("unwrap", "cursor")
    assert server(path) == {"url": "https://x", "headers": {"A": "b"}}


def test_the_copy_stays_where_our_variables_were_lost(km: Km, home: Home, machine: Path) -> None:
    path = home.write("cursor", json.dumps({"mcpServers": {"a": SECRETS}}))
    km("wrap", "cursor")
    path.write_text(path.read_text().replace('"KM_URL"', '"URL"'))
    km("unwrap", "cursor")
    assert [copy.read_text() for copy in (machine / "data" / "wrapping").glob("*/mcp.json.*")] == [
        json.dumps({"mcpServers": {"a": SECRETS}})
    ]


def test_a_bridge_whose_variables_are_elsewhere_stays_and_says_why(km: Km, home: Home) -> None:
    mine = {"command": KM_CLIENT, "args": [*BRIDGE, "env:NOTES_URL", "--header", "A: env:NOTES_TOKEN"]}
    text = json.dumps({"mcpServers": {"b": {"command": "npx", "args": []}, "a": mine}})
    path = home.write("cursor", text)
    assert "2 of 2 servers" in (km("wrap", "cursor"), km("status", "--offline"))[1].out
    done = km("unwrap", "cursor")
    assert path.read_text() == text and done.code == 0
    assert "left alone: its `env` has no `NOTES_URL`" in done.out


def test_a_variable_that_would_say_something_else_is_not_written(
    km: Km, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps({"mcpServers": {"a": SECRETS}})
    path, real = home.write("cursor", text), rewriting.wrap

    def clumsy(pen: Pen, *rest: Any) -> tuple[list[Edit], list[str]]:
        edits, words = real(pen, *rest)
        return [edit._replace(text=edit.text.replace("secret-2", "secret")) for edit in edits], words

    monkeypatch.setattr(rewriting, "wrap", clumsy)
    assert "would have changed more than it should" in km("wrap", "cursor").err and path.read_text() == text
