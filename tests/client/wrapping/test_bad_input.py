"""What real files are like: marks, newlines, mistakes, odd entries, megabytes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.client.commands.conftest import Done, Km
from tests.client.monitored import KM_CLIENT
from tests.client.wrapping.homes import Home

PLAIN = '{"mcpServers": {"a": {"command": "npx", "args": ["-y", "x"]}}}'


def entry(path: Path, name: str = "a") -> dict[str, object]:
    found: dict[str, object] = json.loads(path.read_text("utf-8-sig"))["mcpServers"][name]
    return found


def refused(done: Done, path: Path, before: bytes, *words: str) -> None:
    """The command failed with these words, and nothing was touched, nor left behind."""
    assert done.code == 1
    for word in ("error: ", "hint: ", *words):
        assert word in done.err
    assert path.read_bytes() == before
    assert not [other for other in path.parent.iterdir() if other.suffix == ".km"]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.replace(" ", "\r\n\t").encode(),
        PLAIN.replace("npx", "C:\\\\Program Files\\\\nodejs\\\\npx.cmd").encode(),
        PLAIN.replace('"a"', '"\\u00e9 b"').encode(),
        PLAIN.encode() + b" // no newline at the end",
    ],
    ids=["mark", "crlf", "windows path", "escapes", "no newline"],
)
def test_every_byte_comes_back(km: Km, home: Home, content: bytes) -> None:
    path = home.write("cursor", content)
    assert km("wrap", "cursor").code == 0
    wrapped = path.read_bytes()
    assert KM_CLIENT.encode() in wrapped and wrapped.startswith(content[:3])
    assert (b"\r\n" in content) == (b"\r\n" in wrapped) and wrapped.count(b"\n") - wrapped.count(
        b"\r\n"
    ) == content.count(b"\n") - content.count(b"\r\n")
    assert km("unwrap", "cursor").code == 0
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("npx", ["-y", "@modelcontextprotocol/server-everything"]),
        ("uvx", ["mcp-server-git", "--repository", "."]),
        ("docker", ["run", "-i", "--rm", "-e", "TOKEN", "mcp/github"]),
        ("cmd", ["/c", "npx", "-y", "x"]),
        ("C:\\tools\\server.cmd", []),
        ("a program", ["--", "monitor", "-x"]),
        ("km-client", ["replay", "run-1"]),
    ],
)
def test_the_servers_own_words_follow_the_dashes_unchanged(
    km: Km, home: Home, command: str, arguments: list[str]
) -> None:
    wanted = {"mcpServers": {"my server": {"command": command, "args": arguments, "env": {"A": "b"}, "disabled": True}}}
    path = home.write("cursor", json.dumps(wanted))
    km("wrap", "cursor")
    assert entry(path, "my server") == {
        "command": KM_CLIENT,
        "args": ["monitor", "--server-name", "my server", "--", command, *arguments],
        "env": {"A": "b"},
        "disabled": True,
    }


def test_a_name_that_looks_like_an_option_is_not_one(km: Km, home: Home) -> None:
    path = home.write("cursor", '{"mcpServers": {"-x": {"command": "a"}}}')
    km("wrap", "cursor")
    assert entry(path, "-x")["args"] == ["monitor", "--server-name=-x", "--", "a"]
    assert "covered" in km("status", "--offline").out


@pytest.mark.parametrize(
    ("client", "content", "words"),
    [
        ("cursor", b'{"mcpServers": {\n  "a": {"command" "npx"}}}', "line 2, column 19"),
        ("cursor", b'{"a": "\xff"}', "is not UTF-8: line 1, column 8"),
        ("cursor", PLAIN.encode("utf-16"), "is not UTF-8: line 1, column 1"),
        ("codex", b"[mcp_servers.a]\ncommand = npx\n", "line 2, column 11"),
        ("goose", b"extensions:\n  a: {cmd: x\n", "line 3, column 1"),
    ],
)
def test_what_cannot_be_read_is_left_alone_and_named(
    km: Km, home: Home, client: str, content: bytes, words: str
) -> None:
    path, other = home.write(client, content), home.write("windsurf", PLAIN)
    refused(km("wrap", "--all"), path, content, words, str(path))
    assert KM_CLIENT in other.read_text(), "the others are wrapped all the same"
    assert "not reachable" in km("status", "--offline").out
    assert words in km("doctor").out.replace("\n" + " " * 19, " ")


@pytest.mark.parametrize(
    ("servers", "why"),
    [
        ('{"a": {"command": "x"}, "a": {"command": "y"}}', "`a` is there twice"),
        ('{"a": {"command": "x", "command": "y"}}', "`command` is there twice"),
        ('{"a": {}}', "neither `command` nor `url`"),
        ('{"a": {"command": ["npx"]}}', "`command` is a list, not text"),
        ('{"a": {"command": ""}}', "`command` is empty"),
        ('{"a": {"command": "x", "args": "-y"}}', "`args` is text, not a list"),
        ('{"a": {"command": "x", "args": [8080]}}', "a part of `args` is `8080`, not text"),
        ('{"a": {"command": "x\\u0000"}}', "NUL"),
        ('{"a": "x"}', "not a table of settings"),
        ('{"a": {"url": "unix:///run/mcp"}}', "not an address of http"),
        ('{"a": {"url": "https://x", "command": "y", "type": "http"}}', "both `url` and `command`"),
        ('{"a": {"url": "https://x", "headers": {"A": 1}}}', "`A` is `1`, not text"),
        ('{"a": {"url": "https://x", "headers": {"A b": "c"}}}', "holds what no header can"),
        ('{"a": {"url": "https://x", "headers": {"A": "\\u0007"}}}', "holds what no header can"),
        ('{"a": {"url": "https://x/?key=k", "env": ["B"]}}', "`env` is not a table of texts"),
        ('{"a": {"url": "https://x/?key=k", "env": {"B": {}}}}', "`env` is not a table of texts"),
        ('{"a": {"url": "https://x/?key=k", "env": {"B": "1", "B": "2"}}}', "each with its own name"),
        ('{"a": {"url": "https://x/?key=k", "env": {}, "env": {}}}', "each with its own name"),
        ('{"a": {"url": "https://x/a b"}}', "not an address of http"),
        ('{"a": {"url": "https://x", "oauth": {"clientId": "c"}}}', "only the client itself can sign it in"),
        ('{"a": {"command": "km-client", "args": ["monitor", "--"]}}', "without a server"),
    ],
)
def test_an_odd_entry_is_left_alone_and_says_why(km: Km, home: Home, servers: str, why: str) -> None:
    path = home.write("cursor", f'{{"mcpServers": {servers}}}')
    before = path.read_bytes()
    done = km("wrap", "cursor")
    assert (done.code, path.read_bytes()) == (0, before)
    assert "left alone" in done.out and why in done.out
    assert "cannot be covered" in km("status", "--offline").out


@pytest.mark.parametrize("content", [b"", b" \n", b"{}", b'{"mcpServers": {}}', b'{"mcpServers": null}', b"[]"])
def test_a_file_without_servers_stays_as_it_is(km: Km, home: Home, content: bytes) -> None:
    path = home.write("cursor", content)
    assert km("wrap", "cursor").code == 0 and path.read_bytes() == content


def test_five_megabytes_pass(km: Km, home: Home) -> None:
    history = [{"display": "x" * 100, "n": number, "ok": True} for number in range(36_000)]
    text = json.dumps({"history": history, "mcpServers": {"a": {"command": "npx"}}}, indent=1)
    assert len(text) > 5_000_000
    path = home.write("claude-code", text)
    assert km("wrap", "claude-code").code == 0
    assert len(path.read_text()) - len(text) < 300
    assert km("unwrap", "claude-code").code == 0 and path.read_text() == text


@pytest.mark.parametrize("name", ["a\\ud800", "\\udcff", "é\\u2028"])
def test_a_name_that_is_no_text_comes_back(km: Km, home: Home, name: str) -> None:
    content = PLAIN.replace('"a"', f'"{name}"').encode()
    path = home.write("cursor", content)
    assert km("wrap", "cursor").code == 0 and KM_CLIENT in path.read_text()
    assert km("unwrap", "--all").code == 0 and path.read_bytes() == content


def test_a_home_whose_name_is_no_text_is_one(km: Km, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = Path(os.fsdecode(os.fsencode(home.path) + b"/\xff"))
    path = Home(odd, "linux", monkeypatch).write("cursor", PLAIN)
    assert km("wrap", "cursor").code == 0 and KM_CLIENT in path.read_text()
    assert km("unwrap", "--all").code == 0 and path.read_text() == PLAIN
