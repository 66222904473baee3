"""The shape of this room's commands: what was done, for people or as JSON, and an error that says what to do next.

Passphrases come from a file or are asked for, never from an argument, which every process of the machine could read.
"""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.errors import ApiError

MIN_PASSPHRASE_CHARACTERS = 12


class CeremonyCommand(BaseCommand):
    """Implement `arguments` and `run`; `run` returns what to show, by name."""

    requires_system_checks = []  # noqa: RUF012 - as Django declares it; a key holder's machine has no database

    def add_arguments(self, parser: CommandParser) -> None:
        self.arguments(parser)
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines for people")

    def arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        raise NotImplementedError

    def run(self, options: dict[str, Any]) -> dict[str, str]:
        """Do it."""
        raise NotImplementedError

    def handle(self, *_: Any, **options: Any) -> str:
        try:
            result = self.run(options)
        except ApiError as error:
            raise CommandError(f"{error.message}\n{error.hint}".rstrip()) from None
        if options["json"]:
            return json.dumps(result)
        width = max(map(len, result))
        return "\n".join(f"{name.replace('_', ' '):<{width}}  {value}" for name, value in result.items())


def passphrase(file: Path | None, *, new: bool) -> bytes:
    """From `file`, or asked for; twice when it is new. Raises `CommandError`."""
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise CommandError(f"`{file}` cannot be read: {error.strerror}") from None
    else:
        text = getpass.getpass("Passphrase of the key: ")
        if new and getpass.getpass("Again: ") != text:
            raise CommandError("The two differ. Nothing was made.")
    if new and len(text) < MIN_PASSPHRASE_CHARACTERS:
        raise CommandError(f"A passphrase has at least {MIN_PASSPHRASE_CHARACTERS} characters. Nothing was made.")
    return text.encode()
