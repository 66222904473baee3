"""One configuration's text with our wrapping and without it: read, edited, and proved by reading again.

    plan = make(text, client, program, kept=[])       plan.after    every server that can be covered is
                                                      plan.before   none is; what a person changed since stays changed

Each changed entry leaves an `Undo`: the characters of its part of the text before and after. While those after still
stand there, `before` comes back to the character, whatever else was changed around them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast

import msgspec

from km_client.errors import ClientError
from km_client.wrapping import environment, rewriting, servers
from km_client.wrapping.clients import Client
from km_client.wrapping.documents import Syntax, syntax
from km_client.wrapping.documents.editing import Pen
from km_client.wrapping.documents.tree import Edit, Node, OverlapError, ParseError, Way, apply
from km_client.wrapping.entries import Launch, Remote, Unfit
from km_client.wrapping.invocation import Invocation
from km_client.wrapping.servers import Server

BOM = "\ufeff"


class Undo(msgspec.Struct, frozen=True):
    """A piece of the text that wrapping an entry changed: `offset` characters from an edge of the entry's `member`."""

    path: list[str]
    member: str
    edge: Literal["start", "end"]
    offset: int
    before: str
    after: str


class Plan(NamedTuple):
    """What can be done with one text. `servers` are as they stand in it; `undo` is for those wrapped in `after`."""

    servers: list[Server]
    before: str
    after: str
    undo: list[Undo]


_Skipped = Mapping[Way, frozenset[str]]  # by the way to a table: its members that are not compared


class _NotProvedError(Exception):
    pass


class _Change(NamedTuple):
    """What becomes of one entry: the edits that wrap it and its words then, those that unwrap it."""

    server: Server
    wrap: list[Edit]
    words: list[str]
    unwrap: list[Edit]


def make(text: str, client: Client, program: str | None, kept: Sequence[Undo], *, with_remote: bool = True) -> Plan:
    """Plan for `text`; without a `program` only for `before`.

    Raises `ParseError`, and `ClientError` where an edit would not come out as it should.
    """
    body = text.removeprefix(BOM)
    mark = text[: len(text) - len(body)]
    written = syntax(client.syntax)
    tree = written.parse(body, client.roots)
    found = servers.listed(tree, client)
    pen, known = Pen(written, body), defaultdict(list)
    for piece in kept:
        known[tuple(piece.path)].append(piece)
    changes = [_change(pen, server, program, known[server.path], with_remote) for server in found]
    changes = [change for change in changes if change.wrap or change.unwrap]
    if not changes:
        return Plan(found, text, text, [])
    try:
        after = apply(body, [edit for change in changes for edit in change.wrap])
        before = apply(body, [edit for change in changes for edit in change.unwrap])
        wrapped = _proved(written, tree, after, client, changes)
        if before != body:
            _proved(written, tree, before, client, [change for change in changes if change.unwrap], is_wrapped=False)
    except (_NotProvedError, OverlapError, ParseError):
        names = ", ".join(f"`{change.server.name}`" for change in changes)
        hint = "nothing was changed; write these entries in a plainer manner, or put `km-client monitor --` in by hand"
        raise ClientError(
            "config_not_edited", f"an edit of {names} would have changed more than it should", hint
        ) from None
    undo = [each for change in changes for each in _undo(body, change, changes, wrapped[change.server.path])]
    return Plan(found, mark + before, mark + after, undo)


def _change(pen: Pen, server: Server, program: str | None, kept: Sequence[Undo], with_remote: bool) -> _Change:
    said, found = server.said, server.found
    if isinstance(said, Unfit) or (isinstance(said, Remote) and not with_remote):
        return _Change(server, [], [], [])
    if found is None or isinstance(said, Remote):
        if program is None:
            return _Change(server, [], [], [])
        return _Change(server, *rewriting.wrap(pen, said, program, server.name), [])
    unwrap = _kept_edits(pen.text, said, kept) or rewriting.unwrap(pen, said, found)
    if server.state == "covered" or program is None:
        return _Change(server, [], said.words, unwrap)
    return _Change(server, *rewriting.renew(pen, said, found, program, server.name), unwrap)


def _kept_edits(text: str, said: Launch, kept: Sequence[Undo]) -> list[Edit]:
    """What was before, if all that we wrote still stands there as we wrote it."""
    edits = []
    for undo in kept:
        member = said.table.get(undo.member)
        if member is None:
            return []
        start = (member.start if undo.edge == "start" else member.node.end) + undo.offset
        if start < 0 or not text.startswith(undo.after, start):
            return []
        edits.append(Edit(start, start + len(undo.after), undo.before))
    return edits


def _proved(
    written: Syntax, old: Node, text: str, client: Client, changes: Sequence[_Change], *, is_wrapped: bool = True
) -> dict[Way, Server]:
    """The servers of the new text: it says of changed entries what it should, of all else what the old did."""
    new = written.parse(text, client.roots)
    found = {server.path: server for server in servers.listed(new, client)}
    ways = {_way(change.server): client.dialect.names | {"path"} for change in changes}
    ours = {(*_way(change.server), client.dialect.environment): _ours(change) for change in changes}
    is_right = _rest(old, ways, ours, ()) == _rest(new, ways, ours, ()) and all(
        _says(found.get(change.server.path), change, is_wrapped) for change in changes
    )
    if not is_right:
        raise _NotProvedError
    return found


def _way(server: Server) -> Way:
    return (*server.path, *(server.said.way if isinstance(server.said, Launch) else ()))


def _ours(change: _Change) -> frozenset[str]:
    """The variables that one entry has for our sake: those that are put in, or taken out."""
    server = change.server
    if isinstance(server.said, Remote):
        return frozenset(server.said.bridge.variables)
    if server.found is None or not isinstance(server.said, Launch):
        return frozenset()
    return frozenset(environment.filled(server.found, server.said.environment).variables)


def _rest(node: Node, ways: _Skipped, ours: _Skipped, way: Way) -> Any:
    """What a value says, but for the members of changed entries that wrapping changes, and our variables there."""
    if node.kind == "list":
        return [_rest(item, ways, ours, (*way, "")) for item in node.items]
    if node.kind != "table":
        return node.kind, node.text
    skipped = ways.get(way) or ours.get(way) or frozenset()
    kept = [m for m in node.members if m.key not in skipped and not _is_all(m.node, ours.get((*way, m.key)))]
    return [(m.key, _rest(m.node, ways, ours, (*way, m.key))) for m in kept]


def _is_all(table: Node, ours: frozenset[str] | None) -> bool:
    """Whether it is there for our variables alone."""
    return bool(ours) and table.kind == "table" and {member.key for member in table.members} <= (ours or set())


def _says(server: Server | None, change: _Change, is_wrapped: bool) -> bool:
    if server is None:
        return False
    said, old = server.said, change.server
    if is_wrapped:
        if not isinstance(said, Launch) or server.found is None or said.words != change.words:
            return False
        return not isinstance(old.said, Remote) or _is_same(old.said, server.found, said)
    if old.found is None or not isinstance(old.said, Launch):
        return False
    if isinstance(said, Launch):
        return said.words == old.found.server
    return isinstance(said, Remote) and _is_same(said, old.found, old.said)


def _is_same(remote: Remote, found: Invocation, bridge: Launch) -> bool:
    """Whether a bridge leads where an entry does. White space around a header's value means nothing (RFC 9110 §5.5),
    and a command line does not keep it.
    """
    filled = environment.filled(found, bridge.environment)
    old, new = ({name.strip(): value.strip() for name, value in each.headers.items()} for each in (remote, filled))
    return (remote.url, old) == (filled.url, new)


def _undo(old: str, change: _Change, changes: Sequence[_Change], wrapped: Server) -> Iterator[Undo]:
    """Each piece of the old text that the edits of one entry change: unwrapped, and wrapped."""
    members = sorted(cast(Launch, wrapped.said).table.members, key=lambda member: member.start)
    others = [edit for each in changes if each is not change for edit in each.wrap]
    for start, end in _pieces([*change.wrap, *change.unwrap]):
        moved = start + _growth(others, start) + _growth([e for e in change.wrap if e.start < start], start)
        nearest = [member for member in members if member.start <= moved][-1:] or members[:1]
        edge: Literal["start", "end"] = "start" if moved < nearest[0].node.end else "end"
        offset = moved - (nearest[0].start if edge == "start" else nearest[0].node.end)
        before, after = (_part(old, start, end, edits) for edits in (change.unwrap, change.wrap))
        yield Undo(list(change.server.path), nearest[0].key, edge, offset, before, after)


def _pieces(edits: Sequence[Edit]) -> list[tuple[int, int]]:
    """The places of edits, those together that overlap or touch."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted((edit.start, edit.end) for edit in edits):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _growth(edits: Sequence[Edit], place: int) -> int:
    """How far the edits before `place` move it; what is put in at `place` itself comes before it."""
    return sum(len(e.text) - (e.end - e.start) for e in edits if e.start < place or e.start == e.end == place)


def _part(text: str, start: int, end: int, edits: Sequence[Edit]) -> str:
    moved = [Edit(e.start - start, e.end - start, e.text) for e in edits if start <= e.start and e.end <= end]
    return apply(text[start:end], moved)
