"""As much of a JSON-RPC message as the bridge must know to carry it, and the headers that MCP wants beside it.

    parse(b'{"jsonrpc":"2.0","id":1,"method":"tools/call",…}')  ->  Message(ids=("1",), method="tools/call", …)

Headers as of revision 2026-07-28, Streamable HTTP, "Request Metadata"; a message is of that era when its own `_meta`
says so, which no earlier revision's does.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from km_client.proxy.http.heads import Headers

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
PARSE_ERROR, INVALID_REQUEST, INTERNAL_ERROR = -32700, -32600, -32603
_PLAIN = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_SENTINEL = re.compile(r"=\?base64\?.*\?=", re.DOTALL)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
Path = tuple[str, ...]
Mirrored = dict[str, list[tuple[Path, str]]]
"""Tool → its parameters that are sent as headers: where each stands in the arguments, and the header's name."""


NOTHING: Mapping[str, Any] = MappingProxyType({})


class Message(NamedTuple):
    """`ids` of the requests in it, as JSON text; `answers`, of the responses. More than one only in a batch of
    2025-03-26. `method` and `params` are of a single message; `version` is what a message of 2026-07-28 says of itself.
    """

    content: bytes
    ids: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    method: str = ""
    params: Mapping[str, Any] = NOTHING
    result: Mapping[str, Any] = NOTHING
    is_error: bool = False
    version: str = ""


def parse(content: bytes) -> Message | None:
    """`None` for what is no JSON-RPC."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    members = value if isinstance(value, list) else [value]
    if not members or not all(isinstance(member, dict) for member in members):
        return None
    ids = tuple(key(member["id"]) for member in members if "method" in member and member.get("id") is not None)
    answers = tuple(key(member["id"]) for member in members if "method" not in member and "id" in member)
    if isinstance(value, list):
        return Message(content, ids, answers)
    params, result = _dict(value.get("params")), _dict(value.get("result"))
    version = _dict(params.get("_meta")).get(VERSION_KEY)
    method = value.get("method")
    return Message(
        content,
        ids,
        answers,
        method if isinstance(method, str) else "",
        params,
        result,
        "error" in value,
        revision(version),
    )


def revision(said: object) -> str:
    """A protocol version as a header can carry it; blank for anything else."""
    return said if isinstance(said, str) and _PLAIN.fullmatch(said) else ""


def error(identifier: str, code: int, message: str) -> bytes:
    """A response of our own; `identifier` is JSON text."""
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (
        identifier.encode(),
        json.dumps({"code": code, "message": message}).encode(),
    )


def answering(message: Message, identifier: str) -> bytes:
    """An error that a server sent with `id: null`, because it refused to look, as the answer to a request."""
    if message.answers != ("null",):
        return message.content
    return json.dumps(json.loads(message.content) | {"id": json.loads(identifier)}).encode()


def metadata(message: Message, mirrored: Mirrored) -> Headers:
    """The headers that a message of 2026-07-28 needs besides `MCP-Protocol-Version`."""
    headers = [(b"Mcp-Method", _encoded(message.method))]
    name = message.params.get(NAMED_BY.get(message.method, ""))
    if isinstance(name, str):
        headers.append((b"Mcp-Name", _encoded(name)))
        if message.method == "tools/call":
            arguments = message.params.get("arguments")
            for path, header in mirrored.get(name, ()):
                text = _scalar(_at(arguments, path))
                if text is not None:
                    headers.append((b"Mcp-Param-" + header.encode(), _encoded(text)))
    return headers


def mirrored_parameters(result: Mapping[str, Any]) -> Mirrored:
    """What a `tools/list` result says is to be sent as headers (`x-mcp-header`)."""
    tools = result.get("tools")
    found: Mirrored = {}
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict) and isinstance(tool.get("name"), str):
            found[tool["name"]] = list(_marked(_dict(tool.get("inputSchema")), ()))
    return found


def _marked(schema: dict[str, Any], path: Path) -> list[tuple[Path, str]]:
    """Only along `properties`, as the specification has it; deeper than any person writes is not looked at."""
    found = []
    for name, inner in _dict(schema.get("properties")).items() if len(path) < 32 else ():
        header = _dict(inner).get("x-mcp-header")
        if isinstance(header, str) and _TOKEN.fullmatch(header):
            found.append(((*path, name), header))
        found += _marked(_dict(inner), (*path, name))
    return found


def _at(value: object, path: Path) -> object:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _scalar(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None


def _encoded(text: str) -> bytes:
    if _PLAIN.fullmatch(text) and not _SENTINEL.fullmatch(text):
        return text.encode()
    return b"=?base64?" + base64.b64encode(text.encode("utf-8", "surrogatepass")) + b"?="


def key(identifier: object) -> str:
    return json.dumps(identifier)


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
