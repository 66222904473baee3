"""Plugins as they run on this machine: what they did, what they may do, what they tried.

km-client plugins list                   each plugin, its state, its counts, and what keeps it
km-client plugins inspect tool-stats     what it declared, what is enforced, what it attempted
km-client plugins inspect ./my-plugin    the same of one that does not run: what this machine would enforce
km-client plugins logs -f tool-stats     what it printed, and what the host says about it
km-client plugins permissions ./my-plugin
km-client plugins verify FILE            whether a signed package may run, offline
km-client plugins refresh                bring this machine to what the account may run
km-client plugins install slow-tools     the same for one plugin;  `remove` takes it away

NAME is a plugin's name or key, as `list` shows it; PATH a directory or a binary. `km-client plugin` makes plugins.
"""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from km_client import config, output, overview
from km_client.commands import plugins_install, plugins_verify
from km_client.errors import ClientError
from km_client.overview import Told
from km_client.plugins import inspection, permissions, subject, words
from km_client.plugins.log_tail import LogTail
from km_client.plugins.report import PluginReport
from km_client.plugins.sandbox.kernel import probe
from km_client.registry import listing

DEFAULT_COUNT = 50
FOLLOW_SECONDS = 0.2
BEGIN = "km-client monitor --plugin ./my-plugin -- YOUR-MCP-SERVER"


def add_arguments(parser: ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="action", metavar="list|install|refresh|remove|verify|inspect|logs|permissions")
    parser.set_defaults(action="list", json=False)
    listing = verbs.add_parser("list", help="each plugin, its state, its counts, and what keeps it")
    inspecting = verbs.add_parser("inspect", help="what it declared, what is enforced, what it attempted")
    logs = verbs.add_parser("logs", help="what it printed, and what the host says about it")
    allowed = verbs.add_parser("permissions", help="what its manifest asks for, and what that opens")
    plugins_verify.add_arguments(verbs.add_parser("verify", help="whether a signed package may run, offline"))
    plugins_install.add_arguments(
        verbs.add_parser("install", help="fetch plugins from the registry, verify and activate them"),
        verbs.add_parser("refresh", help="bring this machine to what the account may run"),
        verbs.add_parser("remove", help="take plugins of the registry away from this machine"),
    )
    for verb in (inspecting, allowed):
        verb.add_argument("plugin", metavar="NAME|PATH")
    logs.add_argument("plugin", metavar="NAME")
    logs.add_argument("-f", "--follow", action="store_true", help="go on with new lines as they come")
    logs.add_argument("-n", type=int, default=DEFAULT_COUNT, metavar="N", help="how many of the last to begin with")
    for verb in (listing, inspecting, allowed):
        verb.add_argument("--json", action="store_true", help="answer in JSON")


def run(args: Namespace) -> int:
    actions: dict[str, Callable[[Namespace], int | None]] = {
        "list": _list,
        "inspect": _inspect,
        "logs": _logs,
        "permissions": _permissions,
        "verify": plugins_verify.run,
        "install": plugins_install.install,
        "refresh": plugins_install.refresh,
        "remove": plugins_install.remove,
    }
    return actions[args.action](args) or 0


def _list(args: Namespace) -> None:
    told, now = overview.look_at_plugins(), datetime.now(UTC)
    if args.json:
        output.say_json(_listing(told, now) | listing.answer())
        return
    is_installed = listing.show(now)
    if told.plugins:
        if is_installed:
            output.say()
        _show(told, now)
    elif not is_installed:
        output.say("No plugin has run on this machine. To run one with a session:")
        output.say(f"  {BEGIN}")
        if listing.is_in_use():
            output.say("To see which ones the registry has for you:")
            output.say("  km-client plugins refresh")


def _listing(told: Told, now: datetime) -> dict[str, object]:
    plugins = [
        msgspec.to_builtins(plugin) | {"notes": [note._asdict() for note in words.notes(plugin, now=now)]}
        for plugin in told.plugins
    ]
    return {
        "agent_pid": told.agent_pid,
        "updated_at": told.at.isoformat() if told.at else None,
        "plugins": plugins,
        "accounts": msgspec.to_builtins(told.accounts),
    }


def _show(told: Told, now: datetime) -> None:
    output.table(("plugin", "version", "state", "handled", "failed", "dropped", "sandbox"), map(_row, told.plugins))
    for plugin in told.plugins:
        words.show_notes(plugin, words.notes(plugin, now=now))
    if told.agent_pid is None and told.at:
        output.say()
        output.say(f"No agent runs: this is how they stood when the last one ended, {words.ago(told.at, now)}.")


def _row(plugin: PluginReport) -> Sequence[str]:
    counts = f"{plugin.handled:>7,}", f"{plugin.failed:>6,}", f"{words.dropped(plugin):>7,}"
    name, version = output.printable(plugin.key), output.printable(plugin.version)
    return name, version, words.state(plugin), *counts, plugin.level or "-"


def _inspect(args: Namespace) -> None:
    told = overview.look_at_plugins()
    found = subject.find(_word(args.plugin, told), told.plugins, config.load().sandbox, probe())
    if args.json:
        output.say_json(inspection.answer(found, now=datetime.now(UTC)))
    else:
        inspection.show(found, probe(), now=datetime.now(UTC))


def _permissions(args: Namespace) -> None:
    told = overview.look_at_plugins()
    found = subject.find_declared(_word(args.plugin, told), told.plugins, config.load().sandbox, probe())
    if args.json:
        output.say_json(permissions.answer(found, told.accounts))
    else:
        permissions.show(found, told.accounts)


def _word(given: str, told: Told) -> str:
    """Where it lies, if it is installed from the registry and never ran."""
    if subject.by_word(given, told.plugins) or subject.is_path(given):
        return given
    return str(listing.directory_of(given) or given)


def _logs(args: Namespace) -> None:
    plugins = overview.look_at_plugins().plugins
    plugin = subject.by_name(args.plugin, plugins)
    if plugin is None and listing.directory_of(args.plugin):
        message = f"`{args.plugin}` is installed and has not run yet"
        raise ClientError("no_log", message, "it runs with the next session: `km-client monitor -- YOUR-MCP-SERVER`")
    if plugin is None:
        raise subject.unknown(args.plugin, plugins)
    if not plugin.log:
        note = next(iter(words.notes(plugin, now=datetime.now(UTC))), None)
        why = f": {note.words}" if note else ""
        raise ClientError(
            "no_log", f"`{output.printable(plugin.key)}` was never started{why}", note.fix if note else ""
        )
    _print_log(Path(plugin.log), max(0, args.n), follow=args.follow)


def _print_log(path: Path, count: int, *, follow: bool) -> None:
    with LogTail(path) as tail:
        lines = tail.last(count)
        if not lines and not follow and count:
            sys.stderr.write(f"nothing is logged in {output.printable(str(path))} yet\n")
        while True:
            sys.stdout.write("".join(f"{line}\n" for line in lines))
            if not follow:
                return
            sys.stdout.flush()
            time.sleep(FOLLOW_SECONDS)
            lines = tail.more()
