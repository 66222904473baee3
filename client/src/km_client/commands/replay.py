"""Play a recording: as the server it was recorded from, or as the client, against a server of today.

    km-client replay session.jsonl --as server
    km-client replay 019aa3c2 --as client -- uvx mcp-server-time
    km-client replay session.jsonl --as client --ignore /result/content/0/text -- node build/index.js

FILE is what the dashboard downloads, what `km-client sessions export` writes, or a script. As a server it speaks MCP on
stdin and stdout, so it stands where a server's command would. As a client it compares each answer with the recorded
one, ids aside, and exits with 1 if any differs: a regression test for servers.
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from functools import partial
from typing import Any

from km_client import output
from km_client.errors import ClientError
from km_client.output import printable

TAKES_COMMAND = True  # what stands after `--` is the server's command, `args.command`
DEFAULT_TIMEOUT_SECONDS = 30.0
DIFFERENT = 1


def add_arguments(parser: ArgumentParser) -> None:
    parser.usage = (
        "km-client replay FILE|SESSION_ID --as server [OPTIONS]\n"
        "       km-client replay FILE|SESSION_ID --as client [OPTIONS] -- COMMAND [ARGUMENT …]"
    )
    parser.add_argument("source", metavar="FILE|SESSION_ID", help="a recording, or the id of a session on this machine")
    parser.add_argument("--as", dest="role", choices=("server", "client"), required=True, help="whose part to play")
    parser.add_argument(
        "--speed",
        type=_speed,
        metavar="FACTOR",
        help="1 as it was recorded, 10 ten times as fast, 0 without waiting (default: 1 as a server, 0 as a client)",
    )
    parser.add_argument(
        "--strict", action="store_true", help="as a server: each request once, in the recorded order, and all of them"
    )
    parser.add_argument(
        "--ignore",
        type=_pointer,
        action="append",
        default=[],
        metavar="POINTER",
        help="a place that may differ, such as /result/content/0/text or /params/arguments/*/at",
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=DEFAULT_TIMEOUT_SECONDS,
        metavar="SECONDS",
        help="as a client: how long an answer may take (default: %(default)g)",
    )
    parser.add_argument("--raw", action="store_true", help="of a session here: with its secrets, from its journal")
    parser.add_argument("--json", action="store_true", help="as a client: answer in JSON")
    parser.set_defaults(command=[])


def run(args: Namespace) -> int:
    if args.role == "client" and not args.command:
        hint = "put its command after `--`: km-client replay session.jsonl --as client -- uvx mcp-server-time"
        raise ClientError("no_command", "there is no server to play against", hint, exit_code=2)
    if args.role == "server" and args.command:
        hint = "leave the command out, or say `--as client`"
        raise ClientError("two_servers", "as a server it needs no other server", hint, exit_code=2)
    from km_client.watching.replaying import recordings  # noqa: PLC0415 - `--help` need not wait for it
    from km_client.watching.replaying.plan import Plan  # noqa: PLC0415 - as above

    said = recordings.load(args.source, raw=args.raw)
    _warn(said, as_client=args.role == "client")
    return _as_server(args, Plan(said)) if args.role == "server" else _as_client(args, Plan(said))


def _as_server(args: Namespace, plan: Any) -> int:
    from km_client.watching.replaying.as_server import serve  # noqa: PLC0415 - as above
    from km_client.watching.replaying.stage import Stage  # noqa: PLC0415 - as above

    stage = Stage(plan, speed=1.0 if args.speed is None else args.speed, strict=args.strict, ignored=args.ignore)
    serve(stage)
    missing = stage.unasked
    if stage.unmatched:
        verb = "was" if stage.unmatched == 1 else "were"
        output.warn(f"{output.many(stage.unmatched, 'request')} {verb} not in the recording")
    if missing and args.strict:
        verb = "was" if len(missing) == 1 else "were"
        some = ", ".join(map(printable, missing[:5]))
        output.warn(f"{output.many(len(missing), 'recorded request')} {verb} not asked: {some}")
    return DIFFERENT if args.strict and (missing or stage.unmatched) else 0


def _as_client(args: Namespace, plan: Any) -> int:
    from km_client.watching import sources  # noqa: PLC0415 - as above
    from km_client.watching.replaying.as_client import Play  # noqa: PLC0415 - as above
    from km_client.watching.replaying.server import RunningServer  # noqa: PLC0415 - as above

    wash = sources.redactor(raw=args.raw)
    with RunningServer(args.command) as server:
        limits = {"timeout": args.timeout, "speed": args.speed or 0.0}
        verdicts = Play(plan, server, **limits, ignored=args.ignore, hide=partial(sources.washed, wash=wash)).run()
    different = [verdict for verdict in verdicts if not verdict.is_same]
    if args.json:
        output.say_json(_answer(verdicts, len(different)))
        return DIFFERENT if different else 0
    for verdict in verdicts:
        _show(verdict)
    output.say(f"{len(verdicts):,} compared: {len(verdicts) - len(different):,} the same, {len(different):,} different")
    if places := [found.pointer for verdict in different for found in verdict.differences]:
        output.say(f"  hint: a place that may differ is left out by `--ignore {printable(places[0])}`")
    return DIFFERENT if different else 0


def _show(verdict: Any) -> None:
    output.say(f"{'same     ' if verdict.is_same else 'DIFFERENT'}  {printable(verdict.call)}")
    if verdict.problem:
        output.say(f"    {printable(verdict.problem)}")
    for difference in verdict.differences:
        output.say(f"    {difference.words()}")


def _answer(verdicts: list[Any], different: int) -> dict[str, Any]:
    from km_client.watching.replaying.sameness import MISSING  # noqa: PLC0415 - as above

    def values(found: Any) -> dict[str, Any]:
        sides = {"recorded": found.recorded, "now": found.now}
        return {"pointer": found.pointer, **{name: value for name, value in sides.items() if value is not MISSING}}

    calls = [
        {
            "call": verdict.call,
            "is_same": verdict.is_same,
            "problem": verdict.problem,
            "differences": [values(found) for found in verdict.differences],
        }
        for verdict in verdicts
    ]
    return {"compared": len(verdicts), "different": different, "calls": calls}


def _warn(said: list[Any], *, as_client: bool) -> None:
    """stdout is MCP's, or the report's: what else is to be known goes to stderr."""
    for why in sorted({one.problem for one in said if one.problem}):
        count = sum(one.problem == why for one in said)
        output.warn(f"{count:,} of {len(said):,} messages are not played: {why}")
    redacted = sum(one.from_client and one.message is not None and b"[redacted:" in one.content for one in said)
    if as_client and redacted:
        sent = f"{output.many(redacted, 'message')} {'is' if redacted == 1 else 'are'} sent"
        output.warn(
            f"{sent} with `[redacted:…]` in place of a secret",
            "`--raw` has the secrets while the journal is here; the answers may differ without them",
        )


def _speed(text: str) -> float:
    return _number(text, "no speed; write 1, 10, 0.5 or 0")


def _seconds(text: str) -> float:
    return _number(text, "no number of seconds")


def _number(text: str, complaint: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise ArgumentTypeError(f"`{printable(text)}` is {complaint}")
    return value


def _pointer(text: str) -> tuple[str, ...]:
    from km_client.watching.replaying.sameness import pointer  # noqa: PLC0415 - as above

    try:
        return pointer(text)
    except ValueError:
        raise ArgumentTypeError(
            f"`{printable(text)}` is no JSON pointer; it begins with /, as /result/content"
        ) from None
