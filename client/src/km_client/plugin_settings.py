"""Settings of plugins: `[plugins.NAME]` in `config.toml`, any values below it, passed on to the plugin of that name.

    [plugins.console-logger]                    plugins.console-logger.format        "json"
    format = "json"                             plugins.console-logger.types         ["request", "error"]
    types = ["request", "error"]

What they mean is said by the plugin's manifest, and checked when it is started: a plugin may come later than its
settings. Here a plugin's name must be one that a manifest can have, and a value one that a plugin can be given.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from km_protocol.kmpkg import names

from km_client.errors import ClientError

PREFIX = "plugins."
MOST_EXACT = 2**53  # a plugin is given numbers as doubles (google.protobuf.Struct): larger ones would be changed
_BARE = re.compile(r"[A-Za-z0-9_-]+")
Tables = dict[str, dict[str, Any]]


def parts(name: str) -> list[str]:
    """The steps of a setting's name: `plugins.my-plugin."a.b".c` has four. Raises `ClientError`."""
    steps: list[str] = []
    try:
        found: Any = tomllib.loads(f"{name} = 0")
        while isinstance(found, dict) and len(found) == 1:
            [(step, found)] = found.items()
            steps.append(step)
    except tomllib.TOMLDecodeError:
        steps = []
    if len(steps) < 2 or "\n" in name or steps[0] != PREFIX.rstrip("."):
        hint = "write `plugins.NAME.SETTING`, such as `plugins.my-plugin.log_level`"
        raise ClientError("unknown_setting", f"`{name}` does not name a setting of a plugin", hint)
    _check_name(steps[1], "")
    return steps


def name_of(steps: list[str] | tuple[str, ...]) -> str:
    """The opposite of `parts`: steps that TOML must have in quotes are quoted."""
    return ".".join(step if _BARE.fullmatch(step) else json.dumps(step) for step in steps)


def value_at(tables: Mapping[str, Any], steps: list[str]) -> Any:
    """What stands there, a table or a value; `None` if nothing does."""
    found: Any = tables
    for step in steps:
        found = found.get(step) if isinstance(found, dict) else None
    return found


def checked(table: object, source: str) -> Tables:
    """The `[plugins]` of a file. Raises `ClientError` naming what cannot be and where."""
    if not isinstance(table, dict):
        raise _bad("plugins", "it must hold one table for each plugin", source)
    for name, settings in table.items():
        _check_name(name, source)
        if not isinstance(settings, dict):
            raise _bad(name_of(["plugins", name]), "it must be a table of the plugin's settings", source)
        for steps, value in leaves(settings):
            if problem := problem_of(value):
                raise _bad(name_of(["plugins", name, *steps]), problem, source)
    return table


def leaves(settings: Mapping[str, Any]) -> Iterator[tuple[list[str], Any]]:
    """Each value with the steps to it; tables in lists are values."""
    for step, value in settings.items():
        if isinstance(value, dict):
            yield from (([step, *steps], below) for steps, below in leaves(value))
        else:
            yield [step], value


def problem_of(value: object) -> str:
    """Why a plugin cannot be given this value; empty when it can."""
    if isinstance(value, list):
        return next(filter(None, map(problem_of, value)), "")
    if isinstance(value, dict):
        return next(filter(None, map(problem_of, value.values())), "")
    if isinstance(value, bool | str):
        return ""
    if isinstance(value, int | float):
        is_exact = abs(value) <= MOST_EXACT if isinstance(value, int) else value - value == 0  # not infinite, not nan
        return "" if is_exact else "a number this large cannot be passed on exactly: write it as text, in quotes"
    return "it must be text, a number, true or false, a list or a table: write dates and times in quotes"


def _check_name(name: str, source: str) -> None:
    if not names.is_plugin_name(name):
        where = f" in {source}" if source else ""
        message = f"`{name}`{where} cannot be a plugin's name"
        raise ClientError("bad_plugin_name", message, f"a plugin is called by {names.HINT}")


def _bad(name: str, problem: str, source: str) -> ClientError:
    return ClientError("bad_setting", f"`{name}` in {source}: {problem}", f"correct it in {source}")
