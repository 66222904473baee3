"""The edits that wrap one entry, bring it up to date, or take our wrapping off.

{"command": "npx", "args": ["-y", "x"]}
{"command": "/…/km-client", "args": ["monitor", "--server-name", "files", "--", "npx", "-y", "x"]}

{"type": "http", "url": "https://…", "headers": {"A": "b"}}
{"type": "stdio", "command": "/…/km-client", "args": ["monitor", …, "--header", "A: env:KM_HEADER_1"],
 "env": {"KM_HEADER_1": "b"}}
"""

from __future__ import annotations

from collections.abc import Sequence

from km_client.wrapping import entries, environment, invocation
from km_client.wrapping.documents.editing import Pen, array, literal
from km_client.wrapping.documents.tree import DOTTED, Edit
from km_client.wrapping.entries import Launch, Remote
from km_client.wrapping.invocation import Invocation


def wrap(pen: Pen, said: Launch | Remote, program: str, name: str) -> tuple[list[Edit], list[str]]:
    """Put the monitor before an entry. Returns the edits and the words the entry then has."""
    if isinstance(said, Launch):
        head = invocation.write(program, name)
        return _splice(pen, said, 0, head), head + said.words
    words = invocation.write_remote(program, name, said.bridge.url, said.transport, said.bridge.headers)
    return _bridge(pen, said, words), words


def renew(pen: Pen, said: Launch, found: Invocation, program: str, name: str) -> tuple[list[Edit], list[str]]:
    """Bring an entry up to date that another version wrapped. Returns the edits and the words it then has."""
    head = invocation.renew(found, program, name)
    return _splice(pen, said, found.server_at, head), head + found.server


def unwrap(pen: Pen, said: Launch, found: Invocation) -> list[Edit]:
    """Take the monitor away, as well as can be told from the entry alone."""
    if found.server:
        return _splice(pen, said, found.server_at, [])
    return _address(pen, said, found)


def _splice(pen: Pen, said: Launch, count: int, head: Sequence[str]) -> list[Edit]:
    """`head` in place of the first `count` words of a program and its arguments, wherever they are kept."""
    if not said.dialect.arguments:
        return pen.replace_head(said.program, count, head)
    words = [*head, *said.words[count:]]
    # The words up to `count` that stand among the arguments go; the program's own does only where nothing follows it.
    gone = max(count - 1, 0) if head else count
    new = list(words[1:]) if said.arguments is None else [*head[1:], *(said.words[:1] if head and not count else [])]
    edits = [pen.set_text(said.program.node, words[0])]
    if said.arguments is not None:
        return edits + pen.replace_head(said.arguments, gone, new)
    return [*edits, pen.insert_after(said.table, said.program, said.dialect.arguments, array(new))] if new else edits


def _bridge(pen: Pen, said: Remote, words: Sequence[str]) -> list[Edit]:
    """A program in place of an address and its headers."""
    dialect = said.dialect
    written = (
        {dialect.program: literal(words[0]), dialect.arguments: array(words[1:])}
        if dialect.arguments
        else {dialect.program: array(words)}
    )
    variables, edits = said.bridge.variables, list[Edit]()
    if variables and said.environment:
        edits.append(pen.insert_first(said.environment, variables))
    elif variables:
        written[dialect.environment] = pen.mapping(variables)
    edits.append(pen.replace_member(said.table, said.member, written))
    if headers := said.table.get(dialect.headers):
        edits += pen.remove_members(said.table, [headers])
    return edits + [pen.set_text(kind.node, dialect.local) for kind in entries.kinds(said.table)]


def _address(pen: Pen, said: Launch, found: Invocation) -> list[Edit]:
    """An address and its headers in place of the bridge to it; nothing where it reads variables that are elsewhere."""
    if environment.missing(found, said.environment):
        return []
    dialect, transport = said.dialect, found.transport
    bridge = environment.filled(found, said.environment)
    name = next((name for name, implied in dialect.urls if implied == transport), dialect.urls[0][0])
    written = {name: literal(bridge.url)}
    if bridge.headers:
        written[dialect.headers] = pen.mapping(bridge.headers)
    edits, gone = [pen.replace_member(said.table, said.program, written)], [said.arguments] if said.arguments else []
    if bridge.variables and said.environment:
        table = said.environment.node
        ours = [member for member in table.members if member.key in bridge.variables]
        if len(ours) == len(table.members) and table.text != DOTTED:
            gone.append(said.environment)
        else:
            edits += pen.remove_members(table, ours)
    edits += pen.remove_members(said.table, gone)
    return edits + [pen.set_text(kind.node, dialect.remote[transport]) for kind in entries.kinds(said.table)]
