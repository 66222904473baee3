"""Have the agent start when you sign in, so that what was recorded is shipped even before an MCP server starts.

    km-client service install --dry-run      show the file, where it goes and what is run; change nothing
    km-client service install                systemd on Linux, launchd on macOS, Task Scheduler on Windows
    km-client service uninstall              take it away again

Nobody needs it: `km-client monitor` starts the agent too. No key is in the file.
"""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace

from km_client import output
from km_client.autostart import installing, job
from km_client.autostart.job import Manager

NOT_INSTALLED = 3  # as service managers exit for what does not run


def add_arguments(parser: ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, purpose in (
        ("install", "start the agent at sign-in"),
        ("uninstall", "start it no more"),
        ("status", "whether it is started at sign-in"),
    ):
        verb = verbs.add_parser(name, help=purpose, description=purpose)
        if name != "status":
            verb.add_argument("--dry-run", action="store_true", help="show what would be done, and do nothing")
        verb.add_argument("--json", action="store_true", help="answer in JSON")


def run(args: Namespace) -> int:
    found = installing.manager(job.current(must_last=args.action == "install"))
    if args.action == "status":
        return _status(found, in_json=args.json)
    if args.dry_run:
        return _would(found, args)
    was_there = installing.is_installed(found)
    why = ""
    if args.action == "install":
        installing.install(found)
    elif was_there:
        why = installing.uninstall(found)
    _told(found, args, was_there=was_there)
    if why:
        output.warn(f"the file is gone, but {found.name} was not told: {why}", "it finds out when you sign in again")
    return 0


def _told(found: Manager, args: Namespace, *, was_there: bool) -> None:
    installs = args.action == "install"
    if args.json:
        changed = installs or was_there
        output.say_json({"manager": found.name, "file": str(found.file), "installed": installs, "changed": changed})
    elif installs:
        output.say(f"{found.name} starts the agent when you sign in: {found.file}")
    elif was_there:
        output.say(f"{found.file} is removed: the agent starts with `km-client monitor`, as it always did.")
    else:
        output.say(f"Nothing is to be removed: there is no {found.file}.")


def _would(found: Manager, args: Namespace) -> int:
    installs = args.action == "install"
    commands = found.begin if installs else found.end
    if args.json:
        text = found.text if installs else None
        output.say_json({"manager": found.name, "file": str(found.file), "text": text, "commands": commands})
        return 0
    output.say(f"{'Would write' if installs else 'Would remove'} {found.file}")
    if installs:
        output.say("\n" + found.text.rstrip() + "\n")
    for command in commands:
        output.say(f"Would run `{shlex.join(command)}`")
    return 0


def _status(found: Manager, *, in_json: bool) -> int:
    """Exits 3 where nothing is installed."""
    installed = installing.is_installed(found)
    current = installed and found.file.read_text(encoding="utf-8", errors="replace") == found.text
    if in_json:
        output.say_json({"manager": found.name, "file": str(found.file), "installed": installed, "current": current})
    elif not installed:
        output.say("The agent is not started at sign-in; `km-client service install` sees to that.")
    elif current:
        output.say(f"{found.name} starts the agent at sign-in: {found.file}")
    else:
        output.say(f"{found.file} starts another km-client, or with other directories: `km-client service install`")
    return 0 if installed else NOT_INSTALLED
