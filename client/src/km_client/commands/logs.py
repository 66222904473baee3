"""The recorded messages, one a line: time, direction, what it was, how long it took, how large it was.

    km-client logs -n 20                   the last twenty
    km-client logs --follow --errors       errors, as they come
    km-client logs --method tools/call --json | jq .message
    km-client logs --tokens                what each call costs a model, and the definitions in every prompt

Secrets were taken out before anything was written here. `-->` is from client to server, `<--` from server to client.
"""

from __future__ import annotations

import json
import select
import sys
import time
from argparse import ArgumentParser, Namespace

from km_client import config, output, paths
from km_client.commands.sessions import count_of
from km_client.log_view import Entry, Filter, last_entries, new_entries, sentence, token_use
from km_client.tokens import Prices, Use

DEFAULT_COUNT = 50


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("-f", "--follow", action="store_true", help="go on with new ones as they come")
    parser.add_argument(
        "-n", type=count_of("messages"), default=DEFAULT_COUNT, metavar="N", help="how many of the last to begin with"
    )
    parser.add_argument("--method", metavar="METHOD", help="only these, requests and their responses: tools/call")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--requests", action="store_true", help="only requests")
    kinds.add_argument("--responses", action="store_true", help="only responses, good ones and errors")
    parser.add_argument("--errors", action="store_true", help="only what went wrong")
    parser.add_argument("--session", metavar="ID", help="only this session (its beginning is enough)")
    parser.add_argument("--tokens", action="store_true", help="also about how many tokens each costs a model")
    parser.add_argument("--json", action="store_true", help="each as one line of JSON, as it is shipped")


def run(args: Namespace) -> int:
    prices = Prices(*config.load().prices) if args.tokens else None
    wanted = Filter(args.method, _kinds(args), args.errors, args.session)
    entries, place = last_entries(paths.log_dir(), wanted, args.n)
    for entry in entries:
        _print(entry, prices, as_json=args.json)
    if not entries and args.n and not args.follow:
        sys.stderr.write("nothing is logged that matches\n  hint: `km-client status` shows what is recorded\n")
    if args.follow:
        sys.stdout.flush()
        for entry in new_entries(paths.log_dir(), wanted, place, _wait):
            _print(entry, prices, as_json=args.json)
            sys.stdout.flush()
    return 0


def _wait(seconds: float) -> None:
    """Raises `BrokenPipeError` where the reader has left, as `grep -m1` does: who says nothing would never find out."""
    if sys.platform == "win32":
        time.sleep(seconds)
        return
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)  # nothing but errors
    if poll.poll(seconds * 1000):
        raise BrokenPipeError


def _kinds(args: Namespace) -> frozenset[str]:
    if args.requests:
        return frozenset({"request"})
    return frozenset({"response", "error"}) if args.responses else frozenset()


def _print(entry: Entry, prices: Prices | None, *, as_json: bool) -> None:
    if not as_json:
        sys.stdout.write(sentence(entry, prices) + "\n")
        return
    line = entry.line.decode(errors="replace")
    use = token_use(entry) if prices else None
    if prices and use:  # beside what is shipped
        line = f"{line.rstrip()[:-1]},{_cost(use, prices)}}}"
    output.say(output.escaped(line))


def _cost(use: Use, prices: Prices) -> str:
    fields = {
        "tokens": use.tokens,
        "tokens_of": use.kind,
        "cost": round(prices.cost(use), 8),
        "currency": prices.currency,
    }
    return json.dumps(fields)[1:-1]
