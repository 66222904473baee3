"""What `--dry-run` shows may be passed on: values of variables and headers, and what else is secret, are hidden."""

from __future__ import annotations

import json

import pytest
from km_client.wrapping import hiding, plan
from km_client.wrapping.clients import named

from tests.client.monitored import KM_CLIENT

SECRET = "s-3cr3t"
GITHUB = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"  # its shape alone tells
ENTRY = {
    "url": f"https://me:{SECRET}@x.test/mcp?key={SECRET}",
    "headers": {"A": SECRET, "B": f"Bearer {SECRET}", "C": "${input:c}", "D": "Bearer ${env:D}"},
    "env": {"E": SECRET, "F": "$F", "G": ""},
}
SHOWN = ["${input:c}", "Bearer ${env:D}", '"F": "$F"', '"G": ""']


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_secrets_are_hidden_before_and_after(is_wrapped: bool) -> None:
    cursor = named(["cursor"])[0]
    text = json.dumps({"apiKey": GITHUB, "mcpServers": {"a": ENTRY, "b": {"command": "x", "args": ["-t", GITHUB]}}})
    shown = hiding.hide(plan.make(text, cursor, KM_CLIENT, []).after if is_wrapped else text, cursor)
    assert SECRET not in shown and GITHUB not in shown
    moved = ["--header", "A: env:KM_HEADER_1", '"KM_HEADER_1": "[hidden]"', '"KM_HEADER_3": "${input:c}"', "env:KM_URL"]
    for words in [*SHOWN, *(moved if is_wrapped else ['"A": "[hidden]"', "x.test/mcp"])]:
        assert words in shown


@pytest.mark.parametrize(
    ("client", "text"),
    [
        ("codex", f'[mcp_servers.a]\nurl = "https://x"\nhttp_headers = {{ A = "{SECRET}" }}\n'),
        ("codex", f'[mcp_servers.a]\ncommand = "x"\n[mcp_servers.a.env]\nA = "{SECRET}" # KEEP\n'),
        ("codex", f'mcp_servers.a.command = "x"\nmcp_servers.a.env.A = "{SECRET}"\n'),
        ("goose", f"extensions:\n  a:\n    cmd: x\n    envs:\n      A: {SECRET}\n      B: |\n        {SECRET}\n"),
        ("goose", "extensions:\n  a: {cmd: x, envs: {PIN: 31337}}\n"),
        ("opencode", f'{{"mcp": {{"a": {{"command": ["x"], "environment": {{"A": "{SECRET}"}}}}}}}}'),
        ("zed", f'{{"context_servers": {{"a": {{"source": "extension", "settings": {{"t": "{SECRET}"}}}}}}}}'),
    ],
)
def test_every_clients_manner_is_known(client: str, text: str) -> None:
    shown = hiding.hide(text, named([client])[0])
    assert SECRET not in shown and "31337" not in shown
    assert "[hidden]" in shown and shown.count("\n") <= text.count("\n")


def test_what_an_older_version_put_into_arguments_is_hidden() -> None:
    words = ["monitor", "--url", ENTRY["url"], "--header", f"A: {SECRET}", "--header", "B: Bearer ${input:c}"]
    text = json.dumps({"mcpServers": {"a": {"command": KM_CLIENT, "args": words}}})
    shown = hiding.hide(text, named(["cursor"])[0])
    assert SECRET not in shown and '"A: [hidden]"' in shown and '"B: Bearer ${input:c}"' in shown


def test_what_is_no_secret_is_shown_as_it_is() -> None:
    text = (
        '\ufeff{"mcpServers": {"a": {"type": "http", "url": "https://x.test/mcp"}, "b": {"command": "npx"}}} // é\r\n'
    )
    assert hiding.hide(text, named(["cursor"])[0]) == text
