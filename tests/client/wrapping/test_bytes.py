"""Byte for byte: whatever the file looked like, `unwrap` undoes `wrap`, and what a person changed in between stays."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from km_client.wrapping import plan
from km_client.wrapping.clients import named
from km_client.wrapping.plan import Plan

from tests.client.monitored import KM_CLIENT
from tests.client.wrapping.configurations import WRITTEN

SLOWLY = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])


def made(text: str, client: str, program: str | None = KM_CLIENT, before: Plan | None = None) -> Plan:
    return plan.make(text, named([client])[0], program, before.undo if before else [])


@pytest.mark.parametrize("client", WRITTEN)
@SLOWLY
@given(data=st.data())
def test_unwrap_gives_back_every_byte(client: str, data: st.DataObject) -> None:
    text = data.draw(WRITTEN[client])
    wrapped = made(text, client)
    assert not [server for server in made(wrapped.after, client).servers if server.state == "open"]
    assert made(wrapped.after, client, None, wrapped).before == text


@pytest.mark.parametrize("client", WRITTEN)
@SLOWLY
@given(data=st.data())
def test_wrapping_twice_is_wrapping_once(client: str, data: st.DataObject) -> None:
    wrapped = made(data.draw(WRITTEN[client]), client)
    again = made(wrapped.after, client, KM_CLIENT, wrapped)
    assert (again.after, again.before) == (wrapped.after, made(wrapped.after, client, None, wrapped).before)


@pytest.mark.parametrize("client", WRITTEN)
@SLOWLY
@given(data=st.data())
def test_what_was_changed_since_stays_and_nothing_else_does(client: str, data: st.DataObject) -> None:
    text = data.draw(WRITTEN[client])
    wrapped = made(text, client)
    changed = wrapped.after.replace("KEEP", "CHANGED")
    assert made(changed, client, None, wrapped).before == text.replace("KEEP", "CHANGED")


@pytest.mark.parametrize("client", WRITTEN)
@SLOWLY
@given(data=st.data())
def test_without_any_record_the_servers_are_still_what_they_were(client: str, data: st.DataObject) -> None:
    text = data.draw(WRITTEN[client])
    wrapped = made(text, client)
    assert meaning(made(wrapped.after, client, None).before, client) == meaning(text, client)


@pytest.mark.parametrize("client", WRITTEN)
@SLOWLY
@given(data=st.data())
def test_nothing_but_the_servers_own_members_changes(client: str, data: st.DataObject) -> None:
    text = data.draw(WRITTEN[client])
    wrapped = made(text, client).after
    changed = {"command", "cmd", "args", "url", "uri", "headers", "http_headers", "type"}
    old, new = meaning(text, client), meaning(wrapped, client)
    for servers in (old, new):
        for entry in servers.pop(
            {"cursor": "mcpServers", "codex": "mcp_servers", "goose": "extensions"}[client], {}
        ).values():
            servers.setdefault("kept", []).append({k: v for k, v in entry.items() if k not in changed})
    for before, after in zip(old.get("kept", []), new.get("kept", []), strict=True):
        for name in ("env", "envs"):
            added = after.get(name, {}).items() - before.get(name, {}).items()
            assert {key.rstrip("_0123456789") for key, _ in added} <= {"KM_HEADER", "KM_URL"}
            after[name] = {key: value for key, value in after.get(name, {}).items() if (key, value) not in added}
            before.setdefault(name, {})
    assert old == new


def meaning(text: str, client: str) -> dict[str, Any]:
    """What the format's own parser reads; an absent list of arguments, or table of variables, is an empty one."""
    read = {"cursor": lambda t: json.loads(plain(t)), "codex": tomllib.loads, "goose": yaml.safe_load}[client]
    value: dict[str, Any] = read(text.removeprefix("\ufeff"))
    for key in ("mcpServers", "mcp_servers", "extensions"):
        for entry in value.get(key, {}).values():
            if isinstance(entry.get("command", entry.get("cmd")), str):
                entry.setdefault("args", [])
            for name in [name for name in ("env", "envs") if entry.get(name) == {}]:
                del entry[name]
            for name in ("headers", "http_headers"):
                if isinstance(entry.get(name), dict):  # white space around a header's value means nothing
                    entry[name] = {key: said.strip() for key, said in entry[name].items()}
    return value


def plain(text: str) -> str:
    """JSON without the comments and commas that `configurations` adds."""
    out, place, quoted = [], 0, False
    while place < len(text):
        char = text[place]
        if quoted:
            out.append(text[place : place + 2] if char == "\\" else char)
            place += 2 if char == "\\" else 1
            quoted = char != '"'
        elif text.startswith("//", place):
            place = text.index("\n", place)
        elif text.startswith("/*", place):
            place = text.index("*/", place) + 2
        else:
            if char in "}]":
                while out[-1].isspace() or out[-1] == ",":
                    out.pop()
            out.append(char)
            quoted, place = char == '"', place + 1
    return "".join(out)
