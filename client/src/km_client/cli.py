"""Parse, dispatch, and be the one place that turns an error into words and an exit code.

    km-client VERB …        `km_client.commands.VERB` holds the verb: `add_arguments(parser)` and `run(args) -> int`

Only the verb that was asked for is imported: `monitor` stands in the start-up path of every MCP server and may load
nothing of the others. Exit codes: the verb's own, 2 for bad usage, `ClientError.exit_code`, 130 after ctrl-C.
"""

from __future__ import annotations

import importlib
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence

from km_client import __version__
from km_client.errors import ClientError

VERBS = {
    "login": "connect this machine by confirming a code in a browser",
    "init": "connect it by an API key",
    "logout": "give its key back and forget it",
    "wrap": "have MCP clients start their servers through the monitor",
    "unwrap": "give MCP clients their configurations back, byte for byte",
    "monitor": "run an MCP server and record every message to and from it",
    "status": "what is recorded, shipped and waiting",
    "logs": "the recorded messages, one a line",
    "sessions": "the recorded sessions: list, show and export",
    "top": "live calls, latency and errors on the whole screen",
    "replay": "play a recorded session, as its server or as its client",
    "tools": "what servers say of their tools: what changed, and what is approved",
    "doctor": "check the set-up and name what to fix",
    "config": "show and change settings",
    "plugins": "plugins on this machine: what each did, may do, and tried",
    "plugin": "write a plugin: make a project, check its manifest, build it",
    "completion": "print what makes a shell complete all this",
    "service": "have the agent start when you sign in",
    "agent": "the background process that ships recordings: start, stop, status",
}
BAD_USAGE = 2  # as argparse exits
INTERRUPTED = 130  # 128 + SIGINT, as every shell reports it


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (without the program's name) and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except ClientError as error:
        _print_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED


def _dispatch(arguments: list[str]) -> int:
    if arguments[:1] == ["monitor"]:  # its stdout is MCP's alone
        return _run(arguments)
    from km_client import output  # noqa: PLC0415 - `monitor` begins without it

    return output.answered(lambda: _run(arguments))


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in VERBS:
        return _overview(arguments)
    verb = importlib.import_module(f"km_client.commands.{arguments[0]}")
    parser = ArgumentParser(
        prog=f"km-client {arguments[0]}",
        description=verb.__doc__,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    verb.add_arguments(parser)
    words, command = arguments[1:], None
    if "--" in words and getattr(verb, "TAKES_COMMAND", False):
        words, command = words[: words.index("--")], words[words.index("--") + 1 :]
    args = parser.parse_args(words)
    if command is not None:
        args.command = command
    code: int = verb.run(args)
    return code


def _overview(arguments: list[str]) -> int:
    """`--help`, `--version`, nothing at all, or a verb that does not exist."""
    width = max(map(len, VERBS))
    parser = ArgumentParser(
        prog="km-client",
        usage="km-client VERB [OPTIONS]     (km-client VERB --help explains one)",
        description="Watch what an MCP client and server say to each other, and lose none of it.",
        epilog="verbs:\n" + "\n".join(f"  {verb:{width}}  {purpose}" for verb, purpose in VERBS.items()),
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"km-client {__version__}")
    if not arguments:
        parser.print_help()
        return BAD_USAGE
    parser.parse_known_args(arguments)
    raise ClientError(
        "unknown_verb",
        f"`{arguments[0]}` is not a verb of km-client",
        f"the verbs are {', '.join(VERBS)}; `km-client --help` explains them",
        exit_code=BAD_USAGE,
    )


def _print_error(error: ClientError) -> None:
    """What it quotes may be a stranger's words, such as a server's: nothing of it acts on the terminal."""
    from km_client.output import printable  # noqa: PLC0415 - `monitor` begins without it

    hint = f"\n  hint: {printable(error.hint)}" if error.hint else ""
    sys.stderr.write(f"error: {printable(error.message)}{hint}\n")
