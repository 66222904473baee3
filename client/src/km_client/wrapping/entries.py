"""What one server's entry says: a program with its words, a URL, or why it can be neither.

read(Node of {"command": "npx", "args": ["-y", "x"]}, COMMON) → Launch(…, words=["npx", "-y", "x"])
read(Node of {"url": "https://…"}, COMMON)                    → Remote(…, url="https://…")
read(Node of {"command": 1}, COMMON)                          → Unfit("`command` is 1, not text")
"""

from __future__ import annotations

from typing import NamedTuple

from km_client.wrapping import dialect as names
from km_client.wrapping.dialect import Dialect, Transport
from km_client.wrapping.documents.tree import DOTTED, Member, Node


class Launch(NamedTuple):
    """An entry that starts a program. `way` leads from the entry's table to `table`, which holds it."""

    table: Node
    dialect: Dialect
    program: Member
    arguments: Member | None
    words: list[str]
    way: tuple[str, ...] = ()


class Remote(NamedTuple):
    """An entry with an address."""

    table: Node
    dialect: Dialect
    member: Member
    url: str
    transport: Transport
    headers: dict[str, str]


class Unfit(NamedTuple):
    """An entry that cannot be wrapped, and why."""

    why: str


class _UnfitError(Exception):
    pass


def read(entry: Node, dialect: Dialect) -> Launch | Remote | Unfit:
    """What the entry says."""
    try:
        return _read(entry, dialect)
    except _UnfitError as error:
        return Unfit(str(error))


def _read(entry: Node, dialect: Dialect) -> Launch | Remote:
    if entry.kind != "table":
        raise _UnfitError("it is not a table of settings")
    _each_once(entry, dialect)
    kind = _kind(entry)
    program = entry.get(dialect.program)
    if program is not None and kind not in names.HTTP_NAMES | {"sse"}:
        return _launch(entry, dialect, program)
    addresses = [(member, implied) for name, implied in dialect.urls if (member := entry.get(name))]
    if addresses:
        others = [name for name in (dialect.program, dialect.arguments) if entry.get(name)]
        others += [member.key for member, _ in addresses[1:]]
        if others:
            raise _UnfitError(f"it has both `{addresses[0][0].key}` and `{others[0]}`")
        member, implied = addresses[0]
        transport: Transport = "sse" if kind == "sse" else "http" if kind in names.HTTP_NAMES - {"remote"} else implied
        return _remote(entry, dialect, member, transport)
    if kind and kind not in names.STDIO_NAMES | names.HTTP_NAMES | {"sse"}:
        raise _UnfitError(f"the client runs it itself (type `{kind}`)")
    if (source := entry.get("source")) and source.node.text == "extension":
        raise _UnfitError("an extension of the client runs it")
    raise _UnfitError(f"it has neither `{dialect.program}` nor `{dialect.urls[0][0]}`")


def _each_once(table: Node, dialect: Dialect) -> None:
    twice = sorted(table.twice() & dialect.names)
    if twice:
        raise _UnfitError(f"`{twice[0]}` is there twice")


def _kind(entry: Node) -> str:
    kind = entry.get("type")
    return _text(kind, "type").lower() if kind else ""


def _launch(entry: Node, dialect: Dialect, program: Member) -> Launch:
    if program.node.kind == "table" and dialect is names.COMMON:
        inner = _launch_of_path(program.node)
        return inner._replace(way=(program.key,))
    if not dialect.arguments:
        words = _texts(program, program.key)
        if not words:
            raise _UnfitError(f"`{program.key}` is empty")
        return Launch(entry, dialect, program, None, words)
    arguments = entry.get(dialect.arguments)
    words = [_text(program, program.key), *(_texts(arguments, arguments.key) if arguments else [])]
    if not words[0]:
        raise _UnfitError(f"`{program.key}` is empty")
    return Launch(entry, dialect, program, arguments, words)


def _launch_of_path(table: Node) -> Launch:
    """Zed's former way: a table in place of the program's name."""
    _each_once(table, names.ZEDS_OLD)
    program = table.get(names.ZEDS_OLD.program)
    if program is None:
        raise _UnfitError("`command` is a table without `path`")
    return _launch(table, names.ZEDS_OLD, program)


def _remote(entry: Node, dialect: Dialect, member: Member, transport: Transport) -> Remote:
    url = _text(member, member.key)
    if not url.lower().startswith(("http://", "https://", "$")):  # a client fills in `${input:address}` itself
        raise _UnfitError(f"`{member.key}` is not an address of http")
    signing = [
        m.key for m in entry.members if m.key in names.SIGNED_IN_BY_CLIENT and m.node.text not in ("false", "null")
    ]
    if signing:
        raise _UnfitError(f"only the client itself can sign it in (`{signing[0]}`)")
    return Remote(entry, dialect, member, url, transport, _headers(entry, dialect))


def _headers(entry: Node, dialect: Dialect) -> dict[str, str]:
    member = entry.get(dialect.headers)
    if member is None:
        return {}
    if member.node.kind != "table" or member.node.twice():
        raise _UnfitError(f"`{member.key}` is not a table of texts, each with its own name")
    if member.node.text == DOTTED:
        raise _UnfitError(f"`{member.key}` is written as dotted keys; write it as one table")
    found = {each.key: _text(each, each.key) for each in member.node.members}
    if any("\n" in value or ":" in key or "\n" in key for key, value in found.items()):
        raise _UnfitError(f"`{member.key}` holds what no header can")
    return found


def _text(member: Member, name: str) -> str:
    return _said(member.node, f"`{name}`")


def _texts(member: Member, name: str) -> list[str]:
    if member.node.kind != "list":
        raise _UnfitError(f"`{name}` is {_shown(member.node)}, not a list")
    return [_said(item, f"a part of `{name}`") for item in member.node.items]


def _said(node: Node, what: str) -> str:
    if node.kind != "text":
        raise _UnfitError(f"{what} is {_shown(node)}, not text")
    if "\0" in node.text:
        raise _UnfitError(f"{what} holds a NUL, which no program can be given")
    return node.text


def _shown(node: Node) -> str:
    return {"table": "a table", "list": "a list", "text": "text"}.get(node.kind) or f"`{node.text[:40]}`"
