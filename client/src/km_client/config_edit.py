"""Changes to `config.toml`: checked before they are written, the file's comments and order kept, replaced atomically.

set_value("agent.idle_seconds", "60")                unset("agent.idle_seconds")
set_value("plugins.my-plugin.log_level", "debug")    unset("plugins.my-plugin")
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.exceptions import TOMLKitError

from km_client import paths, plugin_settings
from km_client.atomic_file import replace_file
from km_client.config import checked, known, read_file
from km_client.errors import ClientError
from km_client.pattern_trial import takes_too_long
from km_client.settings import Value


def set_value(name: str, text: str) -> Value:
    """Write one setting to the file. Returns the value as it will be read."""
    path = paths.config_file()
    steps, value = _parsed(name, text)
    if steps[0] == "redaction":
        _try(name, value)
    document = _document(path)
    *tables, last = steps
    table: Any = document
    for part in tables:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ClientError(
                "bad_setting", f"`{part}` of `{name}` is a value in {path}, not a table", "unset it first"
            )
    table[last] = list(value) if isinstance(value, tuple) else value
    _write(path, document)
    return value


def _try(name: str, value: Value) -> None:
    """Raises `ClientError` where `value` is an expression that a message could keep the agent busy with."""
    expressions = value if isinstance(value, tuple) else (value,)
    if any(isinstance(each, str) and takes_too_long(each) for each in expressions):
        raise ClientError(
            "bad_setting",
            f"`{name}` takes too long on a text of two thousand letters: it tries them in too many ways",
            "repeat nothing that repeats, as `(a+)+` does, and give repetitions an end: `{1,64}` in place of `+`",
        )


def unset(name: str) -> bool:
    """Take one setting, or a table of a plugin's, out of the file; whether it stood there."""
    path = paths.config_file()
    *tables, last = _steps(name)
    document = _document(path)
    table: Any = document
    for part in tables:
        table = table.get(part, {}) if isinstance(table, dict) else {}
    if not isinstance(table, dict) or last not in table:
        return False
    del table[last]
    _write(path, document)
    return True


def rename(wrong: str, name: str) -> None:
    """Move the value under a name that no setting has to the setting meant. A table that this empties goes."""
    path = paths.config_file()
    document = _document(path)
    *tables, last = wrong.split(".")
    above: list[Any] = [document]
    for part in tables:
        above.append(above[-1][part])
    holder = above[-1] if above[-1] is document else above[-1].value
    value = holder.item(last)  # with the comment behind it, which `[]` does not give of `true` and `false`
    del above[-1][last]
    for depth in range(len(tables), 0, -1):
        if not above[depth]:
            del above[depth - 1][tables[depth - 1]]
    *tables, last = name.split(".")
    table: Any = document
    for part in tables:
        table = table.setdefault(part, {})
    table[last] = value
    _write(path, document)


def _steps(name: str) -> list[str]:
    if name.startswith(plugin_settings.PREFIX):
        return plugin_settings.parts(name)
    known(name, None)
    return name.split(".")


def _parsed(name: str, text: str) -> tuple[list[str], Value]:
    if not name.startswith(plugin_settings.PREFIX):
        return name.split("."), checked(known(name, None), text, "the command line")
    steps = plugin_settings.parts(name)
    if len(steps) < 3:
        raise ClientError("unknown_setting", f"`{name}` is a plugin, not a setting of one", f"write `{name}.SETTING`")
    return steps, _plugins_value(text)


def _plugins_value(text: str) -> Value:
    """What TOML reads as a value that a plugin can be given is that: `5`, `true`, `["a", "b"]`; all else is text."""
    try:
        value = tomlkit.value(text).unwrap()
    except TOMLKitError:
        return text
    return text if plugin_settings.problem_of(value) else cast(Value, value)


def _document(path: Path) -> TOMLDocument:
    read_file(path)  # raises what a person can act on
    return tomlkit.parse(path.read_text(encoding="utf-8-sig")) if path.exists() else tomlkit.document()


def _write(path: Path, document: TOMLDocument) -> None:
    """A link stays one, as to a directory of dotfiles: what it leads to is replaced."""
    replace_file(Path(os.path.realpath(path)), tomlkit.dumps(document).encode(), mode=0o600)
