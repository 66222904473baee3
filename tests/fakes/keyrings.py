"""Keyrings for tests, as other people write them: by `keyring`'s rules, with what a real one does when it is locked."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError


class Memory(KeyringBackend):
    """Keeps passwords for as long as it lives; locked, it gives and takes none, as the Secret Service does."""

    priority = 5
    name = "Memory of a test"

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring types little of itself
        self.kept: dict[tuple[str, str], str] = {}
        self.is_locked = False

    def get_password(self, service: str, username: str) -> str | None:
        self._check_open()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._check_open()
        self.kept[(service, username)] = password

    def delete_password(self, service: str, username: str) -> None:
        self._check_open()
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError("No such password!")

    def _check_open(self) -> None:
        if self.is_locked:
            raise KeyringLocked("Failed to unlock the collection!")


class OfAFile(Memory):
    """The same for several processes: `PYTHON_KEYRING_BACKEND=tests.fakes.keyrings.OfAFile`, `KEYRING_OF_TEST=path`.

    It is what a real one is not, a plain file: for tests alone.
    """

    name = "File of a test"

    def get_password(self, service: str, username: str) -> str | None:
        return self._read().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._write({**self._read(), f"{service} {username}": password})

    def delete_password(self, service: str, username: str) -> None:
        kept = self._read()
        if kept.pop(f"{service} {username}", None) is None:
            raise PasswordDeleteError("No such password!")
        self._write(kept)

    @property
    def _path(self) -> Path:
        return Path(os.environ["KEYRING_OF_TEST"])

    def _read(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self._path.read_text()) if self._path.exists() else {}
        return found

    def _write(self, kept: dict[str, str]) -> None:
        self._path.write_text(json.dumps(kept))
