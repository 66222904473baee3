"""Configurations as people and programs write them, in every manner their format allows: for hypothesis.

written("jsonc") → texts with servers of all kinds under `mcpServers`, and `KEEP` in places that wrapping does not touch
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

WORDS = st.sampled_from(
    ["npx", "-y", "--", "a b", "é\u2028", 'q"\\', "${HOME}", "monitor", "#", "'", ": ", ",", "]", ""]
)
VARIABLES = st.sampled_from([{"MODE": "KEEP"}, {"KM_HEADER_1": "KEEP", "B": "c", "KM_URL": ""}, {}])
NAMES = ["files", "a b", "-x", "é", "files.io", 'q"', "#1"]
BLANKS = ["", " ", "\n  ", "\r\n\t", " // c, ]\n", "/* } */", "\n\n    "]


@st.composite
def entries(draw: st.DrawFn, *, headers: str, url: str, env: str) -> dict[str, Any]:
    """One server: a program, an address, or something odd."""
    kind = draw(st.sampled_from(["launch", "launch", "remote", "remote", "odd"]))
    entry: dict[str, Any] = {env: draw(VARIABLES)} if draw(st.booleans()) else {}
    if kind == "launch":
        entry["command"] = draw(WORDS.filter(bool))
        if draw(st.booleans()):
            entry["args"] = draw(st.lists(WORDS, max_size=4))
    elif kind == "remote":
        entry[url] = "https://example.test/" + draw(WORDS | st.just("?key=k"))
        if draw(st.booleans()):
            entry[headers] = draw(st.dictionaries(st.sampled_from(["A", "X-Key"]), WORDS, min_size=1))
    else:
        entry |= draw(st.sampled_from([{"command": 1}, {"args": []}, {"command": "x", "args": "y"}, {url: 3}]))
    return dict(draw(st.permutations(list(entry.items()))))


def servers(**names: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(NAMES), entries(**names), max_size=4)


@st.composite
def jsonc(draw: st.DrawFn) -> str:
    value = {"theme": "KEEP", "mcpServers": draw(servers(headers="headers", url="url", env="env")), "last": ["KEEP", 1]}
    mark = draw(st.sampled_from(["", "\ufeff"]))
    return mark + _json(draw, dict(draw(st.permutations(list(value.items())))))


def _json(draw: st.DrawFn, value: Any) -> str:
    def blank() -> str:
        return draw(st.sampled_from(BLANKS))

    if isinstance(value, dict):
        parts = [f"{json.dumps(key)}{blank()}:{blank()}{_json(draw, each)}" for key, each in value.items()]
    elif isinstance(value, list):
        parts = [_json(draw, each) for each in value]
    else:
        return json.dumps(value, ensure_ascii=draw(st.booleans()))
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    trailing = draw(st.sampled_from(["", ","])) if parts else ""
    body = ",".join(f"{blank()}{part}{blank()}" for part in parts)
    return f"{opening}{body}{trailing}{blank()}{closing}"


@st.composite
def toml(draw: st.DrawFn) -> str:
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    lines = ["# KEEP", 'theme = "KEEP"', ""]
    inline, tables = [], []
    for name, entry in draw(servers(headers="http_headers", url="url", env="env")).items():
        way = draw(st.sampled_from(["table", "inline", "dotted"]))
        key = json.dumps(name, ensure_ascii=False)
        if way == "table":
            tables += _toml_table(draw, key, entry)
        elif way == "inline":
            inline.append(f"{key} = {_toml(draw, entry)} # {name}")
        else:
            inline += [f"{key}.{each} = {_toml(draw, value)}" for each, value in entry.items()]
    middle = ["[mcp_servers]", *inline] if inline else []
    return newline.join([*lines, *middle, *tables, "", "[last]", "a = 1 # KEEP", ""])


def _toml_table(draw: st.DrawFn, key: str, entry: dict[str, Any]) -> list[str]:
    comment = st.sampled_from(["", " # why", "\t#]"])
    lines = ["", f"[ mcp_servers . {key} ]"]
    below: list[str] = []
    for name, value in entry.items():
        if isinstance(value, dict) and draw(st.booleans()):
            below += [f"[mcp_servers.{key}.{name}]", *(f"{each} = {_toml(draw, v)}" for each, v in value.items())]
        else:
            lines.append(f"{name} = {_toml(draw, value)}{draw(comment)}")
    return lines + below


def _toml(draw: st.DrawFn, value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(draw, each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(_toml(draw, each) for each in value)}]"
    literal = isinstance(value, str) and "'" not in value and draw(st.booleans())
    return f"'{value}'" if literal else json.dumps(value, ensure_ascii=False)


@st.composite
def yaml(draw: st.DrawFn) -> str:
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    lines = ["# KEEP", "theme: KEEP", "extensions:"]
    found = draw(servers(headers="headers", url="uri", env="envs"))
    for name, entry in found.items():
        named = {"cmd" if key == "command" else key: value for key, value in entry.items()}
        key = json.dumps(name, ensure_ascii=False)
        if draw(st.booleans()) or not named:
            lines.append(f"  {key}: {json.dumps(named, ensure_ascii=False)} # flow")
        else:
            lines += [f"  {key}:", *_yaml(draw, named, "    ")]
    if not found:
        lines[-1] += " {}"
    return newline.join([*lines, "", "last: [KEEP, 1]", ""])


def _yaml(draw: st.DrawFn, entry: dict[str, Any], indent: str) -> list[str]:
    lines = []
    for name, value in entry.items():
        if not value or not isinstance(value, (dict, list)) or draw(st.booleans()):
            lines.append(
                f"{indent}{name}: {json.dumps(value, ensure_ascii=False)}{draw(st.sampled_from(['', ' # c - d']))}"
            )
        elif isinstance(value, dict):
            lines += [f"{indent}{name}:", *_yaml(draw, value, indent + "  ")]
        else:
            deeper = indent + draw(st.sampled_from(["", "  "]))
            lines += [f"{indent}{name}:", *(f"{deeper}- {json.dumps(each, ensure_ascii=False)} # -" for each in value)]
    return lines


WRITTEN = {"cursor": jsonc(), "codex": toml(), "goose": yaml()}
