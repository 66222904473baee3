"""A configuration as it may be shown: without the values of variables and headers, and what else is a secret.

    "env": {"TOKEN": "ghp_…"}                    "env": {"TOKEN": "[hidden]"}
    "--header", "Authorization: Bearer …"        "--header", "Authorization: [hidden]"
    "url": "https://mcp.example.com/?key=…"      "url": "https://mcp.example.com/?[hidden]"

A reference to a value that is kept elsewhere, such as `${env:TOKEN}`, is shown. What is secret outside a server's
entry, or in its other arguments, is found by what secrets look like, as in recordings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from km_client.agent.redaction import RedactionRules, Redactor
from km_client.proxy.http.hiding import hidden_path
from km_client.wrapping import servers
from km_client.wrapping.clients import Client
from km_client.wrapping.dialect import COMMON, DIALECTS
from km_client.wrapping.documents import syntax
from km_client.wrapping.documents.editing import literal
from km_client.wrapping.documents.tree import Edit, Node, apply
from km_client.wrapping.plan import BOM

HIDDEN = "[hidden]"
SECRET_TABLES = {"settings"}.union(
    *({d.environment, d.headers} for d in (COMMON, *DIALECTS.values()))
)  # the first: Zed's
_REFERENCE = re.compile(r"(?:Bearer |Basic )?(?:\$\{[^}]*\}|\$\w+|\{(?:env|file):[^}]*\})?")
_ARGUMENT = re.compile(rf"{_REFERENCE.pattern}|env:\w+")
_ADDRESS = re.compile(r"(?i)(https?://)(?:[^/?#]*(@))?([^/?#]*)([^?#]*)(\?)?")


def hide(text: str, client: Client) -> str:
    """`text`, which is right in this client's syntax, as a person may pass it on."""
    body = text.removeprefix(BOM)
    tree = syntax(client.syntax).parse(body, client.roots)
    edits = {edit for _, member, _ in servers.members(tree, client) for edit in _of_entry(member.node)}
    return Redactor(RedactionRules()).text(text[: len(text) - len(body)] + apply(body, sorted(edits)))


def address(text: str) -> str:
    """An address without what may be a key to it; any other text as it is."""
    found = _ADDRESS.match(text)
    if found is None:
        return text
    scheme, sign_in, host, path, query = found.groups()
    rest = f"?{HIDDEN}" if query else text[found.end() :]
    return f"{scheme}{HIDDEN + '@' if sign_in else ''}{host}{hidden_path(path)}{rest}"


def _of_entry(entry: Node) -> Iterator[Edit]:
    for member in entry.members:
        if member.key in SECRET_TABLES:
            yield from (_edit(node, HIDDEN) for node in _values(member.node) if not _is_plain(node))
        else:
            yield from _of_words(node for node in _values(member.node) if node.kind == "text")


def _of_words(nodes: Iterator[Node]) -> Iterator[Edit]:
    before = ""
    for node in nodes:
        name, colon, value = node.text.partition(":")
        if before == "--header" and colon and not _ARGUMENT.fullmatch(value.strip()):
            yield _edit(node, f"{name}: {HIDDEN}")
        elif (shown := address(node.text)) != node.text:
            yield _edit(node, shown)
        before = node.text


def _is_plain(node: Node) -> bool:
    """Whether it tells nothing: a reference, or a switch."""
    return bool(_REFERENCE.fullmatch(node.text)) or (node.kind == "other" and node.text in {"true", "false", "null"})


def _values(node: Node) -> Iterator[Node]:
    """The text, number or switch that this is, or all that stand in it."""
    if node.kind in {"text", "other"}:
        yield node
    for each in node.values():
        yield from _values(each)


def _edit(node: Node, shown: str) -> Edit:
    return Edit(node.start, node.end, literal(shown))
