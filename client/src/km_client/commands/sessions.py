"""The recorded sessions on this machine: what was called, how long it took, what it cost; one of them drawn; exports.

    km-client sessions                           the last twenty
    km-client sessions --server git --since 2h --tokens
    km-client sessions show 019aa3c2             its calls, as a waterfall
    km-client sessions export 019aa3c2 --format har --output calls.jsonl

An id's beginning is enough. Exports are redacted by your rules, as what is shipped is; `--raw` leaves the secrets in,
where the journal is still here.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from km_client import output
from km_client.errors import ClientError
from km_client.output import printable

DEFAULT_LIMIT = 20
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LONGEST_SPAN = timedelta(days=36_500)  # longer ago than anything that is recorded, and no year before the first
LARGEST_COUNT = 1_000_000_000
FORMATS = {
    "har": "HAR-like JSONL: a call a line",
    "otlp": "OpenTelemetry spans as OTLP/JSON lines",
    "jsonl": "the recording, a message a line, as the dashboard's replay.jsonl",
    "txt": "a script for `monitor --debug-replay`, as the dashboard's replay.txt",
}
WIDE = 120  # columns where nobody's terminal sets a limit


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--server", metavar="NAME", help="only sessions with this server")
    parser.add_argument("--since", type=span, metavar="SPAN", help="only what spoke since then: 30m, 2h, 7d")
    parser.add_argument(
        "--limit", type=count_of("sessions"), default=DEFAULT_LIMIT, metavar="N", help="at most so many, 0 for all"
    )
    parser.add_argument("--tokens", action="store_true", help="also about how many tokens each costs; takes longer")
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    show = actions.add_parser("show", help="the calls of one session, as a waterfall")
    show.add_argument("session", metavar="ID", help="its id, or the beginning of it")
    show.add_argument("--json", action="store_true", default=None, help="answer in JSON")
    export = actions.add_parser("export", help="one session as a file for other programs")
    export.add_argument("session", metavar="ID", help="its id, or the beginning of it")
    export.add_argument("--format", choices=FORMATS, default="jsonl", help="; ".join(map(": ".join, FORMATS.items())))
    export.add_argument("--output", type=Path, metavar="FILE", help="write there, readable by you only, not to stdout")
    export.add_argument("--raw", action="store_true", help="leave secrets in, as they stand in the journal")

    actions.add_parser("ids")  # for shells, which complete them


def run(args: Namespace) -> int:
    actions = {None: _list, "show": _show, "export": _export, "ids": _ids}
    actions[args.action](args)
    return 0


def span(text: str) -> timedelta:
    """`30m`, `2h`, `7d` as a time span, for `--since`."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)([smhdw])", text.strip())
    if match is None:
        raise ArgumentTypeError(f"`{printable(text)}` is no time span; write 30m, 2h or 7d")
    return min(timedelta(**{UNITS[match[2]]: float(match[1])}), LONGEST_SPAN)


def count_of(things: str) -> Callable[[str], int]:
    """What reads `20` as a number of `things`, for `--limit` and `-n`."""

    def count(text: str) -> int:
        if not (text.isascii() and text.isdigit()):
            raise ArgumentTypeError(f"`{printable(text)}` is no number of {things}")
        return LARGEST_COUNT if len(text) > len(str(LARGEST_COUNT)) else min(int(text), LARGEST_COUNT)

    return count


def _list(args: Namespace) -> None:
    from km_client.watching import listing, sessions, sources, summaries  # noqa: PLC0415 - `--help` need not wait for them

    everything = sessions.recorded()
    since = datetime.now(UTC) - args.since if args.since else None
    wanted = [
        session
        for session in everything
        if (not args.server or session.server == args.server) and (since is None or session.last >= since)
    ]
    chosen = wanted[: args.limit] if args.limit else wanted
    found = summaries.summaries(chosen, sources.redactor(), with_tokens=args.tokens)
    if args.json:
        output.say_json([summaries.as_json(summary) for summary in found])
    elif not found:
        why = "no session is recorded that matches" if everything else "no session is recorded yet"
        sys.stderr.write(f"{why}\n  hint: `km-client status` shows what is recorded\n")
    else:
        listing.show(found, everything, _columns(output.WIDE))
        _notes(found, len(wanted) - len(chosen))


def _notes(found: Iterable[Any], left_out: int) -> None:
    for summary in found:
        if summary.problem:
            output.warn(f"session `{printable(summary.session.session_id)}`: {printable(summary.problem)}")
    if left_out:
        sys.stderr.write(f"{left_out:,} more are not shown\n  hint: --limit 0 shows all\n")


def _columns(otherwise: int) -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else otherwise


def _show(args: Namespace) -> None:
    from km_client.watching import sessions, sources, summaries, waterfall  # noqa: PLC0415 - as above
    from km_client.watching.calls import Pairing  # noqa: PLC0415 - as above
    from km_client.watching.tally import Tally  # noqa: PLC0415 - as above

    session = sessions.find(sessions.recorded(), args.session)
    tally, pairing, calls = Tally(with_tokens=True), Pairing(), {}
    for event in session.events(sources.redactor(), whole=False):
        tally.take(event)
        if call := pairing.take(event):
            calls[id(call)] = call
            call.forget_contents()
    summary = summaries.Summary(session, tally, session.problem)
    if args.json:
        answer = summaries.as_json(summary) | {"calls_made": [call.as_json() for call in calls.values()]}
        output.say_json(answer)
        return
    output.pairs(_facts(summary))
    output.say()
    for row in waterfall.rows(list(calls.values()), _columns(WIDE), fill=_fill()):
        output.say(row)


def _facts(summary: Any) -> Iterator[tuple[str, str]]:
    from km_client.watching.listing import milliseconds  # noqa: PLC0415 - as above

    tally = summary.tally
    yield "session", printable(summary.session.session_id)
    yield "server", printable(" ".join(filter(None, (summary.server, tally.server_title, tally.server_version))))
    yield "client", printable(" ".join(filter(None, (tally.client, tally.client_version)))) or "did not say"
    yield "began", f"{summary.began.astimezone():%Y-%m-%d %H:%M:%S %z}"
    errors, messages = output.many(tally.errors, "error"), output.many(tally.events, "message")
    yield "calls", f"{tally.calls:,}, {errors}, {messages} of {output.size(tally.size)}"
    p50, p95 = milliseconds(tally.percentile(0.5)), milliseconds(tally.percentile(0.95))
    yield "latency", f"p50 {p50}, p95 {p95}" if p50 else "nothing was answered"
    yield "tokens", f"about {tally.tokens:,}"
    yield "state", summary.session.state
    if tally.gaps:
        yield "gaps", f"{output.many(tally.gaps, 'place')} where something was not recorded"
    if summary.problem:
        yield "problem", printable(summary.problem)


def _ids(_: Namespace) -> None:
    from km_client.watching.known_ids import newest  # noqa: PLC0415 - as above

    for session_id in newest():
        output.say(session_id)


def _fill() -> str:
    try:
        "█".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "#"
    return "█"


def _export(args: Namespace) -> None:
    from km_client.watching import sessions, sources  # noqa: PLC0415 - as above
    from km_client.watching.exporting import Export  # noqa: PLC0415 - as above

    session = sessions.find(sessions.recorded(), args.session)
    events = session.raw_events() if args.raw else session.events(sources.redactor())
    export = Export(args.format, session.session_id, events)
    if args.output:
        _write(args.output, export.lines())
    else:
        _print(export.lines())
    if export.cut:
        output.warn(
            f"{output.many(export.cut, 'message')} {'is' if export.cut == 1 else 'are'} exported in part:"
            " the log keeps the first 64 KiB of each, and the journal,"
            " which had them whole, is gone"
        )
    if args.output:
        sys.stderr.write(f"{export.count:,} lines in {args.output}\n")


def _print(lines: Iterator[bytes]) -> None:
    """As it is for programs; on a terminal nothing that a stranger said acts on it."""
    if sys.stdout.isatty():
        for line in lines:
            sys.stdout.write(output.escaped(line.decode(errors="replace")))
        return
    sys.stdout.flush()
    sys.stdout.buffer.writelines(lines)
    sys.stdout.buffer.flush()


def _write(path: Path, lines: Iterator[bytes]) -> None:
    """For the user's eyes only: traffic is in it."""
    first = next(lines, b"")  # so that what cannot be exported leaves the file that is there alone
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as file:
            if sys.platform != "win32" and stat.S_ISREG(os.fstat(fd).st_mode):
                os.fchmod(fd, 0o600)  # one that was there may have been open to others
            file.write(first)
            file.writelines(lines)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror or error}"
        raise ClientError("unwritable", message, "give another --output") from None
