"""`manage.py create_customer --name Acme --tier pro --email ann@acme.example`: everything a customer needs to begin.

Makes the customer with an active subscription, an owner who can sign in, and a first API key. The password and the key
are shown here and nowhere else.
"""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from core.clock import now
from customers import accounts, api_keys
from customers.management.operator_command import OperatorCommand
from customers.models import Member

PASSWORD_BYTES = 18  # 144 bits, 24 characters to paste


class Command(OperatorCommand):
    help = "Make a customer with a subscription, an owner and a first API key."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True, help="what the customer is called")
        parser.add_argument("--tier", default="free", help="`free`, `pro` or `enterprise` (default: free)")
        parser.add_argument("--email", required=True, help="the owner's e-mail address, to sign in with")
        parser.add_argument("--password", help="the owner's password (default: one is made)")
        parser.add_argument("--key-name", default="first key", help="what the API key is called")

    def run(self, options: dict[str, Any]) -> dict[str, str]:
        moment = now()
        password = options["password"] or secrets.token_urlsafe(PASSWORD_BYTES)
        customer = accounts.create_customer(options["name"], options["tier"], at=moment)
        member = accounts.add_member(customer, options["email"], password, Member.Role.OWNER, at=moment)
        issued = api_keys.issue(customer, options["key_name"], at=moment)
        return {
            "customer": customer.public_id,
            "name": customer.name,
            "tier": options["tier"],
            "key_id": issued.key.public_id,
            "api_key": issued.secret,
            "login": member.user.get_username(),
            "password": password,
            "url": settings.PUBLIC_URL,
        }
