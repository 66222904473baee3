"""What one server's entry says: a program with its words, a URL, or why it can be neither.

read(Node of {"command": "npx", "args": ["-y", "x"]}, COMMON) → Launch(…, words=["npx", "-y", "x"])
read(Node of {"url": "https://…"}, COMMON)                    → Remote(…, url="https://…")
read(Node of {"command": 1}, COMMON)                          → Unfit("`command` is 1, not text")
"""

from __future__ import annotations

import re
from typing import NamedTuple

from km_client.errors import ClientError
from km_client.proxy.http import target
from km_client.proxy.http.hiding import looks_secret
from km_client.wrapping import dialect as names
from km_client.wrapping import environment
from km_client.wrapping.dialect import Dialect, Transport
from km_client.wrapping.documents.tree import DOTTED, Member, Node
from km_client.wrapping.environment import BY_THE_MONITOR, Bridge

_VARIABLE = re.compile(r"\$\{?\s*[A-Za-z_]")
_FILLED_IN = re.compile(r"\$\{[^}]*\}")  # by the client, or by the monitor when it starts


class Launch(NamedTuple):
    """An entry that starts a program. `way` leads from the entry's table to `table`, which holds it."""

    table: Node
    dialect: Dialect
    program: Member
    arguments: Member | None
    words: list[str]
    environment: Member | None = None
    way: tuple[str, ...] = ()


class Remote(NamedTuple):
    """An entry with an address, and how a bridge to it is written."""

    table: Node
    dialect: Dialect
    member: Member
    url: str
    transport: Transport
    headers: dict[str, str]
    environment: Member | None
    bridge: Bridge


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
        return _remote(entry, dialect, member, _transport(kind, dialect, implied))
    if kind and kind not in names.STDIO_NAMES | names.HTTP_NAMES | {"sse"}:
        raise _UnfitError(f"the client runs it itself (type `{kind}`)")
    if (source := entry.get("source")) and source.node.text == "extension":
        raise _UnfitError("an extension of the client runs it")
    raise _UnfitError(f"it has neither `{dialect.program}` nor `{dialect.urls[0][0]}`")


def _transport(kind: str, dialect: Dialect, implied: Transport) -> Transport:
    if kind in dialect.tries_both:
        return ""
    return "sse" if kind == "sse" else "http" if kind in names.HTTP_NAMES - {"remote"} else implied


def _each_once(table: Node, dialect: Dialect) -> None:
    twice = sorted(table.twice() & dialect.names)
    if twice:
        raise _UnfitError(f"`{twice[0]}` is there twice")


def kinds(entry: Node) -> list[Member]:
    """The members that say which transport this is."""
    return [found for name in names.KINDS if (found := entry.get(name)) and found.node.kind == "text"]


def _kind(entry: Node) -> str:
    return next((member.node.text.lower() for member in kinds(entry)), "")


def _launch(entry: Node, dialect: Dialect, program: Member) -> Launch:
    if program.node.kind == "table" and dialect is names.COMMON:
        inner = _launch_of_path(program.node)
        return inner._replace(way=(program.key,))
    variables = entry.get(dialect.environment)
    if not dialect.arguments:
        words = _texts(program, program.key)
        if not words:
            raise _UnfitError(f"`{program.key}` is empty")
        return Launch(entry, dialect, program, None, words, variables)
    arguments = entry.get(dialect.arguments)
    words = [_text(program, program.key), *(_texts(arguments, arguments.key) if arguments else [])]
    if not words[0]:
        raise _UnfitError(f"`{program.key}` is empty")
    return Launch(entry, dialect, program, arguments, words, variables)


def _launch_of_path(table: Node) -> Launch:
    """Zed's former way: a table in place of the program's name."""
    _each_once(table, names.ZEDS_OLD)
    program = table.get(names.ZEDS_OLD.program)
    if program is None:
        raise _UnfitError("`command` is a table without `path`")
    return _launch(table, names.ZEDS_OLD, program)


def _remote(entry: Node, dialect: Dialect, member: Member, transport: Transport) -> Remote:
    url = _text(member, member.key)
    if not _is_address(url):
        raise _UnfitError(f"`{member.key}` is not an address of http")
    signing = [
        m.key for m in entry.members if m.key in names.SIGNED_IN_BY_CLIENT and m.node.text not in ("false", "null")
    ]
    if signing:
        raise _UnfitError(f"only the client itself can sign it in (`{signing[0]}`)")
    if environment.address_stays(url, dialect) and environment.has_key(url):
        raise _UnfitError(f"`{member.key}` has a key beside a variable, and could not be hidden from other users")
    headers, variables = _headers(entry, dialect), entry.get(dialect.environment)
    taken = {each.key for each in variables.node.members} if variables else set[str]()
    bridge = environment.moved(url, headers, dialect, taken)
    if bridge.variables and variables:
        _check_environment(variables, is_once=dialect.environment not in entry.twice())
    return Remote(entry, dialect, member, url, transport, headers, variables, bridge)


def _check_environment(member: Member, *, is_once: bool) -> None:
    """Variables have to go into it."""
    node = member.node
    is_plain = node.kind == "table" and all(each.node.kind in ("text", "other") for each in node.members)
    if not is_once or not is_plain or node.twice():
        raise _UnfitError(f"`{member.key}` is not a table of texts, each with its own name")
    if node.text == DOTTED:
        raise _UnfitError(f"`{member.key}` is written as dotted keys; write it as one table")


def _is_address(url: str) -> bool:
    if environment.has_variable(url):
        return True
    try:
        target.parse_url(url)
    except ClientError:
        return False
    return True


def _headers(entry: Node, dialect: Dialect) -> dict[str, str]:
    member = entry.get(dialect.headers)
    if member is None:
        return {}
    if member.node.kind != "table" or member.node.twice():
        raise _UnfitError(f"`{member.key}` is not a table of texts, each with its own name")
    if member.node.text == DOTTED:
        raise _UnfitError(f"`{member.key}` is written as dotted keys; write it as one table")
    found = {each.key: _text(each, each.key) for each in member.node.members}
    for key, value in found.items():
        _check_header(f"`{key}` of `{member.key}`", key, value, dialect)
    return found


def _check_header(what: str, key: str, value: str, dialect: Dialect) -> None:
    """It has to say to the monitor what it says here."""
    left = BY_THE_MONITOR.sub("", value) if dialect.fills_headers else ""
    if _VARIABLE.search(left):
        raise _UnfitError(f"only the client itself fills in the variable in {what}")
    if environment.stays(value, dialect):
        if looks_secret(left):
            raise _UnfitError(f"{what} has a key beside a variable, and could not be hidden from other users")
        if left.strip().startswith("env:"):
            raise _UnfitError(f"{what} begins with `env:`, which the monitor would read as a variable")
    try:
        target.parse_headers([f"{key}: x{_FILLED_IN.sub('x', value)}"])  # what begins with `env:` is none here
    except ClientError:
        raise _UnfitError(f"{what} holds what no header can") from None


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
