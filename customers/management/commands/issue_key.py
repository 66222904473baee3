"""`manage.py issue_key --customer cus_… --name "build server" --scope events:write`: one more API key, shown once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser

from core.clock import now
from customers import api_keys
from customers.management.operator_command import OperatorCommand
from customers.queries import customer_named
from customers.scopes import DEFAULT_SCOPES


class Command(OperatorCommand):
    help = "Issue an API key to a customer."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--customer", required=True, help="the customer's id, `cus_…`")
        parser.add_argument("--name", required=True, help="the machine or program it is for")
        parser.add_argument("--kind", choices=("live", "test", "ci", "inst"), default="live")
        parser.add_argument("--scope", action="append", help="repeatable (default: send and read events)")
        parser.add_argument("--expires-days", type=int, help="days until it expires (default: never)")

    def run(self, options: dict[str, Any]) -> dict[str, str]:
        moment, days = now(), options["expires_days"]
        issued = api_keys.issue(
            customer_named(options["customer"]),
            options["name"],
            at=moment,
            kind=options["kind"],
            scopes=options["scope"] or DEFAULT_SCOPES,
            expires_at=None if days is None else moment + timedelta(days=days),
        )
        return {"key_id": issued.key.public_id, "api_key": issued.secret, "scopes": " ".join(issued.key.scopes)}
