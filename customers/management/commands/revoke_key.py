"""`manage.py revoke_key key_…` (or the key itself): refused here at once, on every other process within a minute."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from core.clock import now
from core.errors import InvalidRequest
from customers import api_keys
from customers.management.operator_command import OperatorCommand
from customers.models import ApiKey


class Command(OperatorCommand):
    help = "Revoke an API key and every token made from it."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", help="the key's id, `key_…`, or the key itself")
        parser.add_argument("--reason", default="", help="for the audit log")

    def run(self, options: dict[str, Any]) -> dict[str, str]:
        key = _find(options["key"])
        revoked = api_keys.revoke(key, at=now(), reason=options["reason"])
        return {"key_id": key.public_id, "result": "revoked" if revoked else "was already revoked"}


def _find(text: str) -> ApiKey:
    if not text.startswith("key_"):
        return api_keys.find(text)
    key = ApiKey.objects.select_related("customer").filter(public_id=text).first()
    if key is None:
        raise InvalidRequest(f"there is no API key `{text}`", "the admin console lists their ids")
    return key
