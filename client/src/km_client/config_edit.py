"""Changes to `config.toml`: checked before they are written, the file's comments and order kept, replaced atomically.

set_value("agent.idle_seconds", "60")      unset("agent.idle_seconds")
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomlkit
from tomlkit import TOMLDocument

from km_client import paths
from km_client.atomic_file import replace_file
from km_client.config import checked, known, read_file
from km_client.settings import Value


def set_value(name: str, text: str) -> Value:
    """Write one setting to the file. Returns the value as it will be read."""
    path = paths.config_file()
    value = checked(known(name, None), text, "the command line")
    document = _document(path)
    *tables, last = name.split(".")
    table: Any = document
    for part in tables:
        table = table.setdefault(part, {})
    table[last] = list(value) if isinstance(value, tuple) else value
    _write(path, document)
    return value


def unset(name: str) -> bool:
    """Take one setting out of the file; whether it stood there."""
    path = paths.config_file()
    known(name, None)
    document = _document(path)
    *tables, last = name.split(".")
    table: Any = document
    for part in tables:
        table = table.get(part, {})
    if last not in table:
        return False
    del table[last]
    _write(path, document)
    return True


def _document(path: Path) -> TOMLDocument:
    read_file(path)  # raises what a person can act on
    return tomlkit.parse(path.read_text(encoding="utf-8")) if path.exists() else tomlkit.document()


def _write(path: Path, document: TOMLDocument) -> None:
    replace_file(path, tomlkit.dumps(document).encode(), mode=0o600)
