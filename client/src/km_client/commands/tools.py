"""What MCP servers say of their tools: pinned when it was first seen, and shown when it changes.

    km-client tools                        every server, its tools, and what changed
    km-client tools diff files             how, word by word
    km-client tools approve files          take all of it for good; with names, only those tools
    km-client tools approve files read@60303ae2

A definition is what a model reads: title, description, schemas, annotations. A change is reported; with `km-client
config set tools.on_change hold` it is held: clients see the pinned definition, and calls of the tool are refused, until
it is approved here. `TOOL@DIGEST` approves only the very definition that `diff` showed.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from typing import Any

from km_client import output
from km_client.agent.redaction import RedactionRules, Redactor
from km_client.errors import ClientError
from km_client.pinning import pin_file, survey, wording
from km_client.pinning.pins import MAX_TOOLS, Change, Identity, Pins
from km_client.pinning.survey import Server

SHOWN_DIGEST = 8  # hexadecimal digits


def add_arguments(parser: ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="action", metavar="ACTION")
    parser.set_defaults(action="list", json=False)
    listing = verbs.add_parser("list", help="every server, its tools, and what changed")
    diff = verbs.add_parser("diff", help="what changed, word by word")
    approve = verbs.add_parser("approve", help="take what changed for good")
    diff.add_argument("server", nargs="?", metavar="SERVER", help="only of this server (its name, or its key)")
    approve.add_argument("server", metavar="SERVER", help="the server (its name, or its key)")
    approve.add_argument("tools", nargs="*", metavar="TOOL", help="only these; `TOOL@DIGEST` for the definition shown")
    for verb in (listing, diff, approve):
        verb.add_argument("--json", action="store_true", help="answer in JSON")


def run(args: Namespace) -> int:
    {"list": _list, "diff": _diff, "approve": _approve}[args.action](args)
    return 0


def _list(args: Namespace) -> None:
    found = survey.servers()
    if args.json:
        output.say_json({"servers": [_answer(server) for server in found]})
        return
    if not found:
        output.say("No list of tools was seen yet: a client asks a server for its tools, and `km-client` notes them.")
        return
    for server in found:
        _list_one(server)
    output.say(f"{survey.words()}.")


def _list_one(server: Server) -> None:
    if server.pins is None:
        output.warn(server.problem.message if server.problem else "", server.problem.hint if server.problem else "")
        return
    pins, changes = server.pins, {change.tool: change for change in server.changes}
    output.say(f"{_shown(server.name)}: {_started(pins.identity)}")
    names = sorted(pins.pinned.keys() | pins.found.keys())
    rows = [(f"  {_shown(name)}", *_pinned(pins, name), _now(changes.get(name), pins)) for name in names]
    output.table(("  tool", "pinned", "since", "now"), rows)
    if pins.left_out:
        output.warn(f"{pins.left_out:,} tools more than {MAX_TOOLS:,} are not pinned")
    output.say()


def _pinned(pins: Pins, name: str) -> tuple[str, str]:
    pin = pins.pinned.get(name)
    return (pin.digest[:SHOWN_DIGEST], f"{_date(pin.at_ns)}, {pin.how}") if pin else ("", "")


def _now(change: Change | None, pins: Pins) -> str:
    if change is None:
        return "the same"
    count = wording.hidden_in(change, pins)
    return change.kind + (f", {count:,} hidden characters" if count else "")


def _diff(args: Namespace) -> None:
    chosen = [survey.find(args.server)] if args.server else [each for each in survey.servers() if each.changes]
    readable = [(server, _pins(server)) for server in chosen]
    if args.json:
        output.say_json(
            {"changes": [_change(server, each, pins) for server, pins in readable for each in server.changes]}
        )
        return
    if not any(server.changes for server, _ in readable):
        output.say("Nothing differs from what is pinned.")
    for server, pins in readable:
        for change in server.changes:
            _show(server, change, pins)
        if server.changes:
            output.say(f"Run `km-client tools approve {_word(server)}` if all of this is good.")


def _show(server: Server, change: Change, pins: Pins) -> None:
    named = f"@{change.now[:SHOWN_DIGEST]}" if change.now else ""
    told = f"`{_shown(change.tool)}{named}` of `{_shown(server.name)}` {wording.WORDS[change.kind]}"
    output.say(f"{told}, seen {_date(change.at_ns)}")
    if count := wording.hidden_in(change, pins):
        output.say(f"  {count:,} hidden characters, spelled out below as U+….")
    for line in wording.lines_of(change, pins) if change.kind != "removed" else ():
        output.say(f"  {line}")
    output.say()


def _approve(args: Namespace) -> None:
    server = survey.find(args.server)
    waiting = {change.tool: change for change in server.changes}
    _pins(server)
    names = [_asked_for(word, waiting, server) for word in args.tools] or sorted(waiting)
    digests = {name: waiting[name].now for name in names}
    taken: list[Change] = []

    def approve(pins: Pins) -> None:
        now = {change.tool: change for change in pins.changes()}
        good = [name for name in names if name in now and now[name].now == digests[name]]
        taken.extend(now[name] for name in good)
        pins.approve(good, at_ns=time.time_ns())

    pins = _pins(server)
    if names:
        pin_file.update(pins.identity, approve)
    if len(taken) < len(names):
        message = f"the tools of `{server.name}` changed again while you approved them"
        raise ClientError("changed_again", message, f"look at `km-client tools diff {_word(server)}` once more")
    if args.json:
        output.say_json({"server": server.name, "key": server.key, "approved": [_approved(each) for each in taken]})
        return
    for each in taken:
        output.say(f"`{_shown(each.tool)}` is approved ({each.kind}, {each.now[:SHOWN_DIGEST] or 'gone'}).")
    output.say("A client sees it when it lists the tools again." if taken else "Nothing waits for an approval.")


def _asked_for(word: str, waiting: dict[str, Change], server: Server) -> str:
    name, _, digest = (word, "", "") if word in waiting else word.rpartition("@")
    change = waiting.get(name)
    if change is None:
        hint = f"`km-client tools diff {_word(server)}` shows what waits"
        raise ClientError("nothing_waits", f"no change of a tool `{word}` of `{server.name}` waits", hint)
    if not change.now.startswith(digest):
        hint = f"look at `km-client tools diff {_word(server)}` again"
        raise ClientError("changed_again", f"`{name}` is not {digest} now, but {change.now[:SHOWN_DIGEST]}", hint)
    return name


def _pins(server: Server) -> Pins:
    if server.pins is None:
        raise server.problem or ClientError("bad_pins", f"{server.path} cannot be read")
    return server.pins


def _word(server: Server) -> str:
    """What a command needs to name it: its name, unless another has that, too."""
    alike = [each for each in survey.servers() if each.name == server.name]
    return server.name if len(alike) == 1 and server.name.isprintable() and " " not in server.name else server.key


def _answer(server: Server) -> dict[str, Any]:
    if server.pins is None:
        problem = server.problem.message if server.problem else ""
        return {"key": server.key, "file": str(server.path), "problem": problem}
    pins = server.pins
    pinned = [
        {"tool": name, "sha256": pin.digest, "since": _moment(pin.at_ns), "how": pin.how}
        for name, pin in sorted(pins.pinned.items())
    ]
    return {
        "name": server.name,
        "key": server.key,
        "started_by": _started(pins.identity),
        "pinned": pinned,
        "left_out": pins.left_out,
        "changes": [_change(server, change, pins) for change in server.changes],
    }


def _change(server: Server, change: Change, pins: Pins) -> dict[str, Any]:
    return {
        "server": server.name,
        "key": server.key,
        "tool": change.tool,
        "change": change.kind,
        "pinned": change.before or None,
        "now": change.now or None,
        "seen": _moment(change.at_ns),
        "hidden_characters": wording.hidden_in(change, pins),
        "lines": wording.lines_of(change, pins) if change.kind != "removed" else [],
    }


def _approved(change: Change) -> dict[str, Any]:
    return {"tool": change.tool, "change": change.kind, "sha256": change.now or None}


def _started(identity: Identity) -> str:
    """Without secrets: arguments may hold some."""
    return output.printable(Redactor(RedactionRules()).text(identity.url or " ".join(identity.command)))


def _shown(text: str) -> str:
    return output.printable(wording.visible(text))


def _date(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns / 1e9, UTC).astimezone():%Y-%m-%d %H:%M}"


def _moment(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat()
