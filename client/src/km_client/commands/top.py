"""Live calls, latency and errors of every session on this machine, on the whole screen.

    km-client top
    km-client top --since 1h

`/` filters, `p` pauses, Enter on a session shows its calls only and on a call what was said, Esc shows all, `q` quits.
It needs textual: `pip install 'km-client[top]'`.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime, timedelta

from km_client.commands.sessions import span
from km_client.errors import ClientError


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--since",
        type=span,
        default=timedelta(hours=1),
        metavar="SPAN",
        help="begin with what was said since then: 30m, 2h, 7d (default: 1h)",
    )


def is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def run(args: Namespace) -> int:
    if not is_terminal():
        hint = "for a pipe there is `km-client logs --follow --json`, and `km-client sessions --json`"
        raise ClientError("no_terminal", "`top` needs a terminal", hint, exit_code=2)
    try:
        import textual  # noqa: F401, PLC0415 - an extra, which only this command needs
    except ImportError:
        raise ClientError(
            "no_textual",
            "`top` draws its screen with textual, which is not installed",
            "pip install 'km-client[top]', or pipx inject km-client textual",
        ) from None
    from km_client.watching import sources  # noqa: PLC0415 - as above
    from km_client.watching.live import Follower  # noqa: PLC0415 - as above
    from km_client.watching.top.app import Top  # noqa: PLC0415 - as above

    Top(Follower(sources.redactor(), datetime.now(UTC) - args.since)).run()
    return 0
