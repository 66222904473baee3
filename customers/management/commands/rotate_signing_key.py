"""`manage.py rotate_signing_key`: announce a new key for tokens and leases; it takes over by itself.

With `--compromised`, every key so far is dropped at once and all tokens and leases end: for when one has leaked.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from core.clock import now
from customers import signing_keys
from customers.management.operator_command import OperatorCommand


class Command(OperatorCommand):
    help = "Replace the key that signs tokens and leases."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--compromised", action="store_true", help="drop every key at once; all tokens end")

    def run(self, options: dict[str, Any]) -> dict[str, str]:
        moment = now()
        replace = signing_keys.replace_compromised if options["compromised"] else signing_keys.rotate
        key = replace(at=moment)
        return {"kid": key.kid, "state": key.state, "signs_from": key.activates_at.isoformat()}
