"""What is pinned on this machine and what waits for an approval: for `tools`, `status` and `doctor`.

tools      12 tools of 3 servers pinned; changed: 2 of `files`: `km-client tools diff` shows how
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from km_client import paths
from km_client.check import Check
from km_client.errors import ClientError
from km_client.output import many
from km_client.pinning import pin_file, wording
from km_client.pinning.pins import Change, Pins


class Server(NamedTuple):
    """`key` tells two servers of one name apart. Without `pins`, `problem` says why."""

    key: str
    path: Path
    pins: Pins | None
    problem: ClientError | None = None

    @property
    def name(self) -> str:
        return self.pins.identity.name if self.pins else self.key

    @property
    def changes(self) -> list[Change]:
        return self.pins.changes() if self.pins else []


def servers() -> list[Server]:
    """Every server of which something is pinned."""
    return [found for path in pin_file.all_files() if (found := _server(path))]


def words() -> str:
    """All of it in a line."""
    found = servers()
    if not found:
        return "no list of tools was seen yet"
    count = sum(len(server.pins.pinned) for server in found if server.pins)
    said = f"{many(count, 'tool')} of {many(len(found), 'server')} pinned"
    changed = [f"{len(server.changes):,} of `{server.name}`" for server in found if server.changes]
    unread = [f"{server.path} cannot be read" for server in found if server.problem]
    said += f"; changed: {', '.join(changed)}: `km-client tools diff` shows how" if changed else ""
    return "; ".join([said, *unread])


def counts() -> dict[str, Any]:
    """The same for a script."""
    found = servers()
    return {
        "servers": len(found),
        "pinned": sum(len(server.pins.pinned) for server in found if server.pins),
        "changes": sum(len(server.changes) for server in found),
        "unreadable": [str(server.path) for server in found if server.problem],
    }


def check(*, holds: bool) -> Check:
    """For `doctor`. A change is a note; a problem where it is held, or brought characters that do not show."""
    found = servers()
    broken = next((server.problem for server in found if server.problem), None)
    if broken:
        return Check("tools", "problem", broken.message, broken.hint)
    changed = [server for server in found if server.changes]
    if not changed:
        return Check("tools", "ok", words())
    hides = any(wording.hidden_in(each, server.pins) for server in changed for each in server.changes if server.pins)
    said = ", ".join(f"{len(server.changes):,} of `{server.name}`" for server in changed)
    extra = "; with characters that do not show" if hides else ""
    held = " and are held" if holds else ""
    name = changed[0].name
    fix = f"look at `km-client tools diff {name}`; if that is good, run `km-client tools approve {name}`"
    return Check("tools", "problem" if holds or hides else "note", f"tools changed{held}: {said}{extra}", fix)


def find(word: str) -> Server:
    """The server called `word`, or with that key. Raises `ClientError`."""
    found = servers()
    exact = [server for server in found if server.key == word]
    named = exact or [server for server in found if server.name == word]
    if len(named) == 1:
        return named[0]
    if named:
        keys = ", ".join(f"`{server.key}`" for server in named)
        raise ClientError("two_servers", f"{len(named)} servers are called `{word}`", f"give one of {keys}")
    hint = "`km-client tools` lists them; a server is known once a client has listed its tools"
    raise ClientError("unknown_server", f"no tools of a server `{word}` are pinned in {paths.pins_dir()}", hint)


def _server(path: Path) -> Server | None:
    try:
        pins = pin_file.load(path)
    except ClientError as error:
        return Server(path.stem, path, None, error)
    return Server(path.stem, path, pins) if pins else None
