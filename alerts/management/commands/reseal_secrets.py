"""`manage.py reseal_secrets`: put webhooks' secrets under the newest key of `KM_SEALING_KEY`, at once.

What no key opens is counted: those webhooks fail until the key is back, or their secret is rotated.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from alerts import webhook_secrets
from customers.management.operator_command import OperatorCommand


class Command(OperatorCommand):
    help = "Seal the secrets of webhooks under the newest key."

    def arguments(self, parser: CommandParser) -> None:  # noqa: ARG002 - it takes none
        return

    def run(self, options: dict[str, Any]) -> dict[str, str]:  # noqa: ARG002
        done = webhook_secrets.reseal()
        return {"sealed": str(done.sealed), "unreadable": str(done.unreadable)}
