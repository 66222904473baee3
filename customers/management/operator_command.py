"""The shape of this room's commands: one call, its result for people or as JSON, and an error that says what to do.

A refused request ends with exit code 1 and two lines, what was wrong and the next step; nothing is half done.
"""

from __future__ import annotations

import json
from typing import Any

from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from core.errors import ApiError


class OperatorCommand(BaseCommand):
    """Implement `arguments` and `run`; `run` returns what to show, by name.

    The settings are checked, which are whatever somebody set. Pages and addresses are not loaded for it: those are the
    code's, which `manage.py check` and `serve` look at.
    """

    requires_system_checks: tuple[str, ...] = (Tags.security, Tags.caches, Tags.files)

    def add_arguments(self, parser: CommandParser) -> None:
        self.arguments(parser)
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines for people")

    def arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        raise NotImplementedError

    def run(self, options: dict[str, Any]) -> dict[str, str]:
        """Do it."""
        raise NotImplementedError

    def whole(self, options: dict[str, Any]) -> dict[str, str]:
        """`run`, of which nothing is left when it fails."""
        with transaction.atomic():
            return self.run(options)

    def handle(self, *_: Any, **options: Any) -> str:
        try:
            result = self.whole(options)
        except ApiError as error:
            raise CommandError(f"{error.message}\n{error.hint}".rstrip()) from None
        if options["json"]:
            return json.dumps(result)
        width = max(map(len, result))
        return "\n".join(f"{name.replace('_', ' '):<{width}}  {value}" for name, value in result.items())
