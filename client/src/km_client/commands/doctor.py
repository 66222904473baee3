"""Check the set-up, and name what to fix.

Each check says `ok`, `note` (worth knowing) or `problem`, and how to put it right. Exits 1 if there is any problem.
`--fix` first mends what it safely can: permissions, leftovers, misspelt settings, an agent that should run.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from km_client import checks, mending, output
from km_client.check import Check

_NAME_WIDTH = 11  # of the longest name of what is mended, `permissions`


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--fix", action="store_true", help="mend what can be mended without losing anything, then check"
    )
    parser.add_argument("--json", action="store_true", help="answer in JSON")


def run(args: Namespace) -> int:
    mended = mending.mend_all() if args.fix else []
    found = checks.all_checks()
    has_problem = any(check.state == "problem" for check in found)
    if args.json:
        said = {"ok": not has_problem, "checks": [check._asdict() for check in found]}
        output.say_json(said | {"mended": [each._asdict() for each in mended]} if args.fix else said)
    else:
        for each in mended:
            output.wrapped(
                f"{'mended' if each.is_done else 'failed':7}  {each.name:{_NAME_WIDTH}}  {each.words}", indent=22
            )
        _show(found)
    return 1 if has_problem else 0


def _show(found: list[Check]) -> None:
    width = max(len(check.name) for check in found)
    for check in found:
        output.wrapped(f"{check.state:7}  {check.name:{width}}  {check.words}", indent=width + 11)
        if check.fix and check.state != "ok":
            output.wrapped(f"{'':7}  {'':{width}}  fix: {check.fix}", indent=width + 16)
    problems = sum(check.state == "problem" for check in found)
    output.say()
    output.say(f"{problems} problem{'s' if problems != 1 else ''} to fix." if problems else "Everything works.")
