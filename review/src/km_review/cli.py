"""Certify reviewed plugins with one's own key.

km-review key new                     make an Ed25519 key, encrypted under a passphrase
km-review key show                    its id and its public half
km-review key register                prove to hold it, with the challenge that the operator's console shows
km-review list                        what waits for a reviewer, oldest first
km-review show REVISION               permissions, findings, decisions, payload digests
km-review sign REVISION               fetch the payload, recompute its digest, ask, sign, upload
km-review release                     sign what the catalog lists, shown as what is added and what taken away

This is the one place that turns an error into words and an exit code: 1 refused, 2 bad usage, 130 after ctrl-C.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from pathlib import Path

from km_review import __version__, verbs
from km_review.errors import ReviewError
from km_review.key_file import default_path

INTERRUPTED = 130  # 128 + SIGINT, as every shell reports it


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (without the program's name) and return its exit code."""
    args = _parser().parse_args(argv)
    run: Callable[[Namespace], int] = args.run
    try:
        return run(args)
    except ReviewError as error:
        hint = f"\n  hint: {error.hint}" if error.hint else ""
        sys.stderr.write(f"error: {error.message}{hint}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="km-review", description=__doc__, formatter_class=RawDescriptionHelpFormatter, allow_abbrev=False
    )
    server = os.environ.get("KM_REVIEW_SERVER", "")
    parser.add_argument("--version", action="version", version=f"km-review {__version__}")
    parser.add_argument("--server", default=server, help="the service's address (or KM_REVIEW_SERVER)")
    parser.add_argument("--key", type=Path, default=default_path(), help="the key's file (default: %(default)s)")
    commands = parser.add_subparsers(required=True, metavar="key|list|show|sign|release")
    _add_key(commands.add_parser("key", help="make, show or register your key"))
    listing = commands.add_parser("list", help="what waits for a reviewer")
    listing.add_argument("--json", action="store_true", help="print one JSON object")
    listing.set_defaults(run=verbs.list_queue)
    show = commands.add_parser("show", help="one revision")
    show.add_argument("revision", metavar="REVISION", help="its id, `rev_…`")
    show.add_argument("--json", action="store_true", help="print one JSON object")
    show.set_defaults(run=verbs.show)
    sign = commands.add_parser("sign", help="certify a revision's payloads")
    sign.add_argument("revision", metavar="REVISION", help="its id, `rev_…`")
    sign.add_argument("--platform", help="only this one (default: each that waits for you)")
    sign.add_argument("--expect", metavar="DIGEST", help="sign only this payload digest, from a build of your own")
    sign.set_defaults(run=verbs.sign)
    release = commands.add_parser("release", help="sign what the catalog lists")
    release.set_defaults(run=verbs.release)
    return parser


def _add_key(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="new|show|register")
    actions.add_parser("new", help="make a key").set_defaults(run=verbs.new_key)
    actions.add_parser("show", help="its id and public half").set_defaults(run=verbs.show_key)
    register = actions.add_parser("register", help="prove to hold it")
    register.set_defaults(run=verbs.register_key)
