"""`manage.py verify_audit`: recompute every chain of the audit log; name the first broken entry, and exit with 1.

manage.py verify_audit --export heads.json      # then keep heads.json where this database's holder cannot write
manage.py verify_audit --heads heads.json       # months later: nothing before these heads was rewritten
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import CommandParser

from core.clock import now
from core.errors import InvalidRequest
from customers import audit_chain, audit_log
from customers.audit_chain import Verdict
from customers.errors import AuditBroken
from customers.management.operator_command import OperatorCommand


class Head(msgspec.Struct):
    """The end of a chain when it was exported."""

    chain: str
    entries: int
    head: str


class Heads(msgspec.Struct):
    """The file that `--export` writes."""

    at: str
    heads: list[Head]


class Command(OperatorCommand):
    help = "Verify the audit log's hash chains."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--export", type=Path, metavar="FILE", help="write the chains' ends, to be kept elsewhere")
        parser.add_argument("--heads", type=Path, metavar="FILE", help="also compare with ends exported before")

    def whole(self, options: dict[str, Any]) -> dict[str, str]:
        """Without a transaction: nothing is changed, and the log may be long."""
        return self.run(options)

    def run(self, options: dict[str, Any]) -> dict[str, str]:
        known = _read(options["heads"]) if options["heads"] else {}
        verdicts = [_checked(verdict) for verdict in audit_chain.verify_all(known)]
        if options["export"]:
            options["export"].write_text(json.dumps(audit_log.heads(at=now()), indent=1) + "\n")
        result = {
            "audit_log": "unbroken",
            "chains": str(len(verdicts)),
            "entries": str(sum(verdict.entries for verdict in verdicts)),
        }
        return result | ({"exported_to": str(options["export"])} if options["export"] else {})


def _checked(verdict: Verdict) -> Verdict:
    fault = verdict.fault
    if fault is None:
        return verdict
    chain = f"of `{fault.chain}`" if fault.chain else "of no customer"
    row = f" (row {fault.entry})" if fault.entry is not None else ""
    raise AuditBroken(
        f"the audit log {chain} breaks at entry {fault.number}{row}: {fault.why}",
        f"the {verdict.entries} entries before it are unbroken; compare with a backup",
    )


def _read(path: Path) -> dict[str, tuple[int, str]]:
    try:
        file = msgspec.json.decode(path.read_bytes(), type=Heads)
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidRequest(f"`{path}` holds no heads: {error}", "make such a file with `--export`") from None
    return {head.chain: (head.entries, head.head) for head in file.heads}
