"""From the flags of `monitor --url` to what runs: all that `commands/monitor.py` needs to know of this room."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable

from km_client.proxy.http.session import Options
from km_client.proxy.http.session import run as run_session
from km_client.proxy.http.target import Target, from_option, parse_headers
from km_client.proxy.session import Say

__all__ = ["from_option", "run"]


def run(
    target: Target,
    args: Namespace,
    *,
    describe: Callable[[str], dict[str, object]],
    new_id: Callable[[], str],
    say: Say,
    debug: Say,
) -> int:
    """Serve, or bridge, until the end. Returns the exit code. Raises `ClientError`."""
    headers = parse_headers(args.header)
    options = Options(target, describe, new_id, say, debug, args.listen, args.transport, headers)
    if options.listen is not None:
        from km_client.proxy.http.listener import listen  # noqa: PLC0415 - each loads only its own half

        return run_session(listen, options)
    from km_client.proxy.http.bridge import bridge  # noqa: PLC0415

    return run_session(bridge, options)
