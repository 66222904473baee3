"""The shape of the ceremonies' commands, and how they come by passphrases.

Passphrases come from a file or are asked for, never from an argument, which every process of the machine could read.
"""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from customers.management.operator_command import OperatorCommand

MIN_PASSPHRASE_CHARACTERS = 12


class CeremonyCommand(OperatorCommand):
    """An operator's command that works with files: a key holder's machine has no database."""

    requires_system_checks = ()

    def whole(self, options: dict[str, Any]) -> dict[str, str]:
        """`run` as it is."""
        return self.run(options)


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
