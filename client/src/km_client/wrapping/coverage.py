"""Which servers of which clients are recorded, and which are not: for `status` and `doctor`.

covered    3 of 5 servers of Cursor, Codex; `km-client wrap --all` covers the others
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from km_client import output
from km_client.check import Check
from km_client.wrapping import clients, wrapper
from km_client.wrapping.clients import CLIENTS, ConfigFile
from km_client.wrapping.servers import STATE_WORDS, Server
from km_client.wrapping.wrapper import Result

INVALID = "not reachable"
COUNTED = {"covered", "older", "open"}


def survey(project: Path | None = None) -> list[Result]:
    """Every configuration of this user that is there, and those of the project in this directory."""
    places = clients.find(clients.this_system(), CLIENTS)
    if project is not None:
        places += clients.find_in_project(project, CLIENTS)
    return [found for file in once(places) if (found := wrapper.look(file))]


def once(files: Iterable[ConfigFile]) -> list[ConfigFile]:
    """Each file once, whatever links lead to it."""
    seen: dict[str, ConfigFile] = {}
    for file in files:
        try:
            seen.setdefault(str(file.path.resolve()), file)
        except (OSError, RuntimeError):  # links in a circle: whoever reads it says so
            seen.setdefault(str(file.path), file)
    return list(seen.values())


def words(found: Sequence[Result]) -> str:
    """All of it in a line; nothing when no client was found."""
    counted = Counter(server.state for result in found for server in result.servers if server.state in COUNTED)
    if not counted and not found:
        return "no configuration of an MCP client was found"
    titles = ", ".join(dict.fromkeys(result.file.client.title for result in found))
    said = f"{counted['covered']} of {counted.total()} servers of {titles}"
    return said + (f"; {hint(found)}" if hint(found) else "")


def hint(found: Sequence[Result]) -> str:
    """The command that covers what is not, if that would cover any."""
    waiting = [result for result in found if any(server.state in ("open", "older") for server in result.servers)]
    own, project = (any(result.file.is_project is kind for result in waiting) for kind in (False, True))
    commands = (["`km-client wrap --all`"] if own else []) + (["`km-client wrap --project .`"] if project else [])
    return f"{' and '.join(commands)} cover{'s' if len(commands) == 1 else ''} the others" if commands else ""


def rows(found: Sequence[Result]) -> list[tuple[str, str, str, str]]:
    """client, server, how it stands, why."""
    listed = []
    for result in found:
        if result.problem:
            listed.append((result.file.client.title, "", INVALID, output.printable(result.problem.message)))
        listed += [(title(result), output.printable(name(s)), STATE_WORDS[s.state], note(s)) for s in result.servers]
    return listed


def title(result: Result) -> str:
    return result.file.client.title + (" (this project)" if result.file.is_project else "")


def name(server: Server) -> str:
    return f"{server.name} ({server.where})" if server.where else server.name


def note(server: Server) -> str:
    """What to know of it, for a terminal."""
    return output.printable("; ".join(filter(None, ("disabled" if server.is_disabled else "", server.note))))


def answer(result: Result) -> dict[str, Any]:
    """One file, for a script."""
    problem = result.problem
    return {
        "client": result.file.client.id,
        "path": str(result.file.path),
        "project": result.file.is_project,
        "problem": {"code": problem.code, "message": problem.message, "hint": problem.hint} if problem else None,
        "servers": [
            {
                "name": server.name,
                "where": server.where,
                "state": server.state,
                "note": server.note,
                "disabled": server.is_disabled,
            }
            for server in result.servers
        ],
    }


def check() -> Check:
    """For `doctor`: a server that cannot start is a problem, one that is not recorded worth knowing."""
    found = survey()
    broken = [server for result in found for server in result.servers if server.note.endswith("cannot start")]
    if broken:
        said = ", ".join(f"`{name(server)}`: {server.note}" for server in broken)
        return Check(
            "clients", "problem", output.printable(said), "run `km-client wrap --all`, or `km-client unwrap --all`"
        )
    unread = [result.problem for result in found if result.problem]
    if unread:
        return Check("clients", "problem", output.printable(unread[0].message), unread[0].hint)
    command = "run `km-client wrap --all`" if hint(found) else ""
    return Check("clients", "note" if command else "ok", words(found).partition(";")[0], command)
