"""Run an MCP server and record every message to and from it.

Give your MCP client this command in place of the server's:

    km-client monitor -- npx -y @modelcontextprotocol/server-everything
    km-client monitor --server-name notes -- uvx mcp-server-sqlite --db-path notes.db
    km-client monitor --plugin ./my-plugin -- uvx mcp-server-git
    km-client monitor --url https://mcp.example.com/mcp
    km-client monitor --url https://mcp.example.com/mcp --listen 127.0.0.1:0

With `--url` the server is one that speaks HTTP: this command speaks stdio to the MCP client, or, with `--listen`, is a
reverse proxy on this machine, and says where.
Every byte passes unchanged, at once, in both directions; exit code and signals are the server's own. What could not be
recorded never holds up the stream: it is counted and shown by `km-client status`. stdout belongs to MCP; what km-client
has to say goes to stderr.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from argparse import REMAINDER, ArgumentParser, Namespace

from km_client import __version__
from km_client.errors import ClientError

TYPE_CHECKING = False  # as type checkers know it; `typing` itself would cost 2 ms here
if TYPE_CHECKING:
    from km_client.watching.replaying.playing import Player

if sys.platform == "win32":
    from km_client.proxy.windows import start
else:
    from km_client.proxy.server_process import start

STDERR = 2
KEY_KINDS = ("km_live_", "km_test_", "km_ci_", "km_inst_")
KEY_TAIL = 36  # letters and digits after the kind; the agent, which may import the protocol, checks the checksum too
SESSION_ID_LENGTH = 128  # what the server stores
LAUNCHERS = {"npx", "bunx", "pnpm", "node", "bun", "deno", "uvx", "uv", "pipx", "python", "python3", "sh", "bash"}
NO_NAME = frozenset(" \n=;$'\"")  # program text and settings have these, and a secret now and then
LAUNCHER_WORDS = {"run", "exec", "dlx", "tool", "x"}  # `uv run NAME`, `pnpm dlx NAME`


def add_arguments(parser: ArgumentParser) -> None:
    parser.usage = "km-client monitor [OPTIONS] -- COMMAND [ARGUMENT …]\n       km-client monitor [OPTIONS] --url URL"
    parser.add_argument("--server-name", metavar="NAME", help="what to call the server (default: from its command)")
    parser.add_argument("--session-id", metavar="ID", help="what to call this session (default: a new UUIDv7)")
    plugin_help = "run this plugin: a directory, a binary or a package"
    parser.add_argument("--plugin", action="append", default=[], metavar="PATH", help=plugin_help)
    parser.add_argument("--local-only", action="store_true", help="record, and show with `logs`, but ship nothing")
    debug_help = "say on stderr what the relay does, and have plugins log more (or KM_DEBUG=1)"
    parser.add_argument("--debug", action="store_true", help=debug_help)
    parser.add_argument(
        "--debug-replay",
        metavar="FILE",
        help="play this script in a client's place: a JSON-RPC message a line, `DELAY: 500ms`, `#` comments",
    )
    parser.add_argument("--api-key", metavar="KEY", help="ship with this key, not the stored one (or KM_API_KEY)")
    parser.add_argument("--api-url", metavar="URL", help="ship to this server (or KM_API_URL)")
    _add_remote(parser)
    parser.add_argument("command", nargs=REMAINDER, metavar="-- COMMAND", help="the MCP server and its arguments")


def _add_remote(parser: ArgumentParser) -> None:
    remote = parser.add_argument_group("for a server that speaks HTTP")
    remote.add_argument(
        "--url", metavar="URL", help="the server's address; `${VARIABLE}` in it is that variable's value"
    )
    remote.add_argument(
        "--listen", metavar="HOST:PORT", help="be a reverse proxy at this address; 127.0.0.1:0 finds a port"
    )
    remote.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="send this header with every request; `${VARIABLE}` in it, or `env:VARIABLE` for it, is that variable's",
    )
    remote.add_argument(
        "--transport",
        choices=("auto", "http", "sse"),
        default="auto",
        help="Streamable HTTP, or the SSE of 2024-11-05; `auto` finds out (only without --listen)",
    )


def run(args: Namespace) -> int:
    """Relay until the server has ended, then end this process as the server ended."""
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if args.url is not None or args.listen is not None:
        return _remote(args, command)
    if not command:
        hint = "put its command after `--`: km-client monitor -- npx -y @modelcontextprotocol/server-everything"
        raise ClientError("no_command", "no MCP server was given", hint, exit_code=2)
    player = _player(args.debug_replay) if args.debug_replay else None
    server = start(command)
    from km_client.proxy import session  # noqa: PLC0415 - loaded while the server starts, not before

    if player:
        player.begin()
    run_id = _uuid7(time.time_ns() // 1_000_000, os.urandom(10))
    args.debug = debug = _debug(args)
    code = session.run(
        server, run_id, _description(args, command, run_id), say=say, debug=say if debug else lambda _: None
    )
    if player:
        player.end()
    os._exit(code)  # at once: nothing is left to do, and nothing that still runs needs to end first


def _player(path: str) -> Player:
    """The script that stands in for a client, read and found right before any server is started."""
    from km_client.watching.replaying.playing import Player  # noqa: PLC0415 - seldom needed

    return Player(path, say)


def _remote(args: Namespace, command: list[str]) -> int:
    """Stand before a server that speaks HTTP."""
    if args.debug_replay:
        message = "--debug-replay is for a server that is started by its command"
        raise ClientError(
            "no_replay",
            message,
            "play to the bridge: km-client monitor --debug-replay FILE -- km-client monitor --url …",
            exit_code=2,
        )
    if command or not args.url:
        message = "there is both --url and a command" if command else "--listen needs --url"
        raise ClientError("two_servers" if command else "no_url", message, "give one server", exit_code=2)
    from km_client.proxy.http import monitoring  # noqa: PLC0415 - a stdio server's start must not wait for this

    args.debug = _debug(args)
    target = monitoring.from_option(args.url)

    def describe(run_id: str) -> dict[str, object]:
        args.server_name = args.server_name or target.authority
        return _description(args, [], run_id) | {"version": 2, "transport": "http", "url": target.known_as}

    code = monitoring.run(
        target,
        args,
        describe=describe,
        new_id=lambda: _uuid7(time.time_ns() // 1_000_000, os.urandom(10)),
        say=say,
        debug=say if args.debug else lambda _: None,
    )
    os._exit(code)  # as above


def _debug(args: Namespace) -> bool:
    return bool(args.debug) or os.environ.get("KM_DEBUG", "0") not in ("", "0")


def say(text: str) -> None:
    """One line on stderr for a person; dropped rather than waited for if nobody reads stderr."""
    import select  # noqa: PLC0415 - rarely needed

    line = f"km-client: {text}\n".encode(errors="backslashreplace")
    if sys.platform == "win32" or select.select([], [STDERR], [], 0)[1]:
        with contextlib.suppress(OSError):  # stderr is closed: there is nowhere left to say it
            os.write(STDERR, line)


def _description(args: Namespace, command: list[str], run_id: str) -> dict[str, object]:
    """The content of `session.json`, which the agent reads. Key and URL only if they were given to this run."""
    return {
        "version": 1,
        "session_id": _session_id(args.session_id, run_id),
        "server_name": args.server_name or _name_of(command),
        "command": command,
        "cwd": _working_directory(),
        "pid": os.getpid(),
        "started_at_ns": time.time_ns(),
        "client_version": __version__,
        "local_only": args.local_only,
        "api_url": _api_url(args.api_url),
        "api_key": _api_key(args.api_key),
        "plugins": _plugins(args.plugin),
        "debug": args.debug,
    }


def _session_id(given: str | None, run_id: str) -> str:
    if given and (len(given) > SESSION_ID_LENGTH or not given.isprintable()):
        say(f"--session-id must be at most {SESSION_ID_LENGTH} printable characters; this session is {run_id}")
        return run_id
    return given or run_id


def _api_url(given: str | None) -> str | None:
    source, url = ("--api-url", given) if given else ("KM_API_URL", os.environ.get("KM_API_URL"))
    if url and not url.startswith(("http://", "https://")):
        say(f"{source} `{url}` is not a URL: it must begin with https:// or http://; this session is not shipped")
    return url or None


def _api_key(given: str | None) -> str | None:
    """The key as it was given, even if it cannot be right: shipping with another one is not what was asked for."""
    source, key = ("--api-key", given) if given else ("KM_API_KEY", os.environ.get("KM_API_KEY"))
    if key and not _looks_like_a_key(key):
        shape = f"`km_live_` and {KEY_TAIL} letters and digits"
        say(f"{source} is not a Kilometers API key ({shape}); this session is recorded, but not shipped with it")
    return key or None


def _plugins(given: list[str]) -> list[str]:
    """Absolute paths, each once. What is wrong with a plugin is found by the agent; the stream waits for none of it."""
    here = _working_directory()
    paths = list(dict.fromkeys(os.path.normpath(os.path.join(here, path)) for path in given))  # noqa: PTH118 - the same
    for path in paths:
        if not os.path.exists(path):  # noqa: PTH110 - the same
            say(f"--plugin: there is no plugin at `{path}`; the session goes on without it")
    return paths


def _looks_like_a_key(key: str) -> bool:
    kind = next((kind for kind in KEY_KINDS if key.startswith(kind)), "")
    tail = key[len(kind) :]
    return bool(kind) and len(tail) == KEY_TAIL and tail.isascii() and tail.isalnum()


def _name_of(command: list[str]) -> str:
    """`server-everything` for `npx -y @modelcontextprotocol/server-everything@2`, `mcp-server-git` for itself."""
    program, *arguments = (part.rstrip("/\\").replace("\\", "/").rpartition("/")[2] for part in command)
    program = program.removesuffix(".exe").removesuffix(".cmd")
    if program not in LAUNCHERS:
        return program
    names = (name for name in arguments if not (name[:1] == "-" or name in LAUNCHER_WORDS or NO_NAME & {*name}))
    return next(names, program).partition("@")[0] or program


def _working_directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - `pathlib` is not loaded yet
    except FileNotFoundError:  # deleted under us
        return ""


def _uuid7(unix_ms: int, random: bytes) -> str:
    """A UUIDv7 (RFC 9562 §5.7) without the `uuid` module, which costs a millisecond of every server's start."""
    tail = int.from_bytes(random, "big")
    number = unix_ms << 80 | 0x7 << 76 | (tail >> 68) << 64 | 0b10 << 62 | tail & (1 << 62) - 1
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
