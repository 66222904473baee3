"""The servers in one configuration, and how each stands: covered, not covered, wrapped by an older version, or unfit.

listed(tree, client) → [Server(path=("mcpServers", "files"), state="open", …), …]
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from km_client.wrapping import entries, environment, invocation
from km_client.wrapping.clients import Client
from km_client.wrapping.documents.tree import Member, Node
from km_client.wrapping.entries import Launch, Remote, Unfit
from km_client.wrapping.invocation import Invocation

State = Literal["covered", "older", "open", "unfit"]
STATE_WORDS: dict[State, str] = {
    "covered": "covered",
    "older": "wrapped by an older version",
    "open": "not covered",
    "unfit": "cannot be covered",
}


class Server(NamedTuple):
    """One entry. `note` says why it is older or unfit; `found` is the monitor that it starts already."""

    path: tuple[str, ...]
    said: Launch | Remote | Unfit
    found: Invocation | None
    state: State
    note: str
    is_disabled: bool

    @property
    def name(self) -> str:
        return self.path[-1]

    @property
    def where(self) -> str:
        """The project of Claude Code's that it belongs to, if it belongs to one."""
        return self.path[1] if self.path[0] == "projects" else ""


def unwrappable(server: Server) -> Server:
    """`unfit` if it reads variables that it does not have: what they say only a person knows, so it stays wrapped."""
    if server.found is None or not isinstance(server.said, Launch):
        return server
    elsewhere = environment.missing(server.found, server.said.environment)
    if not elsewhere:
        return server
    return server._replace(state="unfit", note=f"its `{server.said.dialect.environment}` has no `{elsewhere[0]}`")


def listed(tree: Node, client: Client, is_there: Callable[[str], bool] = os.path.isfile) -> list[Server]:
    """Every server of the file, in its order."""
    return [_server(path, member, twice, client, is_there) for path, member, twice in members(tree, client)]


def members(tree: Node, client: Client) -> Iterator[tuple[tuple[str, ...], Member, str]]:
    """Each entry: its path, its member, and a name on its way that is there twice."""
    newer: Node | None = tree
    for key in client.newer:
        newer = member.node if newer and (member := newer.get(key)) else None
    is_newer = client.newer and newer is not None and newer.kind == "table" and not newer.get("type")
    for root in (client.newer,) if is_newer else client.roots:
        yield from _members(tree, root, ())


def _members(table: Node, root: tuple[str, ...], way: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Member, str]]:
    """Each entry below `root`."""
    twice = table.twice()
    for member in table.members:
        problem = member.key if member.key in twice else ""
        path = (*way, member.key)
        if not root:
            yield path, member, problem
        elif root[0] in ("*", member.key):
            yield from ((path, below, problem or known) for path, below, known in _members(member.node, root[1:], path))


def _server(
    path: tuple[str, ...], member: Member, twice: str, client: Client, is_there: Callable[[str], bool]
) -> Server:
    said = Unfit(f"`{twice}` is there twice") if twice else entries.read(member.node, client.dialect)
    if not twice and "\0" in path[-1]:
        said = Unfit("its name holds a NUL")
    found = invocation.read(said.words) if isinstance(said, Launch) else None
    if found and not found.server and not found.url:
        said, found = Unfit("it is a `km-client monitor` without a server"), None
    is_disabled = _says(member.node, "disabled", "true") or _says(member.node, "enabled", "false")
    if isinstance(said, Unfit):
        return Server(path, said, None, "unfit", said.why, is_disabled)
    if found is None:
        return Server(path, said, None, "open", "", is_disabled)
    note = invocation.outdated(found, is_there)
    return Server(path, said, found, "older" if note else "covered", note, is_disabled)


def _says(entry: Node, name: str, word: str) -> bool:
    member = entry.get(name)
    return member is not None and member.node.kind == "other" and member.node.text == word
