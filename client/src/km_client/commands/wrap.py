"""Have MCP clients start their servers through `km-client monitor`, by a change of their own configurations.

km-client wrap cursor codex            these clients, for this user
km-client wrap --all --dry-run         every client that is found: show the change, write nothing
km-client wrap --project .             the files that this project has for whoever works in it

Only the command and the arguments of each server change (of a remote one, its address and headers become arguments, and
variables where they may hold a secret).
Comments, order and all else stay, a copy of each file is kept, and `km-client unwrap` gives back the very bytes.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from km_client import output
from km_client.errors import ClientError
from km_client.wrapping import clients, coverage, program, showing, wrapper
from km_client.wrapping.clients import Client, ConfigFile
from km_client.wrapping.program import Program
from km_client.wrapping.wrapper import Result

DONE = {"open": "wrapped", "older": "brought up to date", "covered": "covered already", "unfit": "left alone"}
WOULD = {**DONE, "open": "would be wrapped", "older": "would be brought up to date"}


def add_arguments(parser: ArgumentParser) -> None:
    add_choice(parser, "wrap")
    parser.add_argument("--no-remote", action="store_true", help="leave servers alone that have an address")


def add_choice(parser: ArgumentParser, verb: str) -> None:
    """The arguments of `wrap` and `unwrap` that say which files."""
    known = ", ".join(client.id for client in clients.CLIENTS)
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help=f"{verb} this one: {known}")
    parser.add_argument("--all", action="store_true", help="every client that is found here")
    parser.add_argument(
        "--project", metavar="DIR", type=Path, help="the files in this directory instead of the user's own"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would change, without the secrets, and write nothing"
    )
    parser.add_argument("--json", action="store_true", help="answer in JSON")


def run(args: Namespace) -> int:
    files, found = chosen(args), program.find()
    _must_be_there(args, files)
    results = [
        result
        for file in files
        if (result := wrapper.wrap(file, found.path, dry_run=args.dry_run, with_remote=not args.no_remote))
    ]
    _warn(any(result.before != result.after for result in results), found)
    if args.json:
        return answer(args, results, {"program": found.path, "program_is_temporary": found.is_temporary})
    return show(args, results, WOULD if args.dry_run else DONE)


def _warn(is_changed: bool, found: Program) -> None:
    """Of what a person may not expect to come with the change."""
    if is_changed and found.is_temporary:
        hint = (
            "install it, as by `uv tool install km-client` or `pipx install km-client`, and run `wrap` again with that"
        )
        output.warn(f"{found.path} is in a cache: when that is cleaned, no wrapped server will start", hint)


def chosen(args: Namespace) -> list[ConfigFile]:
    """The places to look at. Raises `ClientError` where nothing was chosen, or too much."""
    named = clients.named(args.clients)
    if args.clients and args.all:
        raise ClientError("bad_choice", "`--all` and the names of clients were both given", "give one of them", 2)
    if args.project:
        if not _is_directory(args.project):
            raise ClientError("no_project", f"{args.project} is no directory", "give the project's own directory")
        return coverage.once(clients.find_in_project(args.project, named))
    if not args.clients and not args.all:
        here = [result.file.client.id for result in coverage.survey() if result.servers]
        found = ", ".join(dict.fromkeys(here)) or "none"
        hint = f"with servers are here: {found}; or give --all, and --dry-run to see first"
        raise ClientError("no_choice", "no client was named", hint, 2)
    return coverage.once(clients.find(clients.this_system(), named))


def _is_directory(path: Path) -> bool:
    """Whether it is there under a name: the directory that a shell is in may have been deleted."""
    try:
        return path.resolve(strict=True).is_dir()
    except (OSError, RuntimeError):  # Python 3.11 and 3.12 say `RuntimeError` of links in a circle
        return False


def _must_be_there(args: Namespace, files: list[ConfigFile]) -> None:
    """A client that was named should have a file; nothing is changed where one has none. Raises `ClientError`."""
    there = {os.path.realpath(file.path) for file in files if os.path.lexists(file.path)}
    missing = [client for client in clients.named(args.clients) if not there & _places(args, client)]
    if (missing and args.clients) or (args.project and not there):
        what = missing[0].title if args.clients else "any client that is known"
        places = args.project or ", ".join(str(file.path) for file in clients.find(clients.this_system(), missing[:1]))
        raise ClientError(
            "no_config", f"there is no configuration of {what} in {places}", "`km-client status` lists what is here"
        )


def _places(args: Namespace, client: Client) -> set[str]:
    """Where this client looks; another may look there too."""
    found = (
        clients.find_in_project(args.project, [client])
        if args.project
        else clients.find(clients.this_system(), [client])
    )
    return {os.path.realpath(file.path) for file in found}


def show(args: Namespace, results: list[Result], done: dict[str, str]) -> int:
    """What was done, for a person; 1 if a file could not be used."""
    changed = [result for result in results if result.before != result.after]
    for result in results:
        if result.problem is None:
            showing.show_servers(result, done, is_changed=result in changed)
            if args.dry_run and result in changed:
                showing.show_diff(result)
    output.say()
    output.say(_summary(args, changed) if results else "No configuration of an MCP client was found here.")
    sys.stderr.writelines(showing.problems(results))
    return 1 if any(result.problem for result in results) else 0


def _summary(args: Namespace, changed: list[Result]) -> str:
    titles = ", ".join(dict.fromkeys(result.file.client.title for result in changed))
    if not changed:
        return "Nothing to change."
    if args.dry_run:
        return f"Nothing was written. Without --dry-run, {titles} would be changed."
    return f"Changed: {titles}. Restart what is running, for it reads its servers when it starts."


def answer(args: Namespace, results: list[Result], more: dict[str, object]) -> int:
    """What was done, for a script; 1 if a file could not be used."""
    files = [showing.answer(result, with_diff=args.dry_run) for result in results]
    output.say_json({"dry_run": args.dry_run, **more, "files": files})
    return 1 if any(result.problem for result in results) else 0
