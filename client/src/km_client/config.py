"""The settings in force, each with its source: flag > environment > `config.toml` > default.

    config = load()
    config.api_url            "https://kilometers.example.com"
    config.source("api_url")  "KM_API_URL"

Raises `ClientError` naming the setting, where its value comes from, and how to put it right; a misspelt name in the
file is an error too. `config_edit.py` changes the file.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from km_client import paths, plugin_settings
from km_client.errors import ClientError
from km_client.settings import PATTERN_PREFIX, SETTINGS, Setting, Value, find

if TYPE_CHECKING:
    from km_client.plugins.sandbox.guarantees import Level

DEFAULT = "default"
FLAG = "flag"


class Sourced(NamedTuple):
    """A value and where it comes from: `flag`, a variable's name, the file's path, or `default`."""

    value: Value
    source: str


class Config:
    """Every setting, checked. Build it with `load`."""

    def __init__(self, values: Mapping[str, Sourced], plugins: Mapping[str, Mapping[str, Any]]) -> None:
        self._values, self._plugins = dict(values), dict(plugins)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Config):
            return False
        # To a plugin 1, 1.0 and true are three values; to `==` they are one.
        return self._values == other._values and repr(self._plugins) == repr(other._plugins)

    __hash__ = None  # type: ignore[assignment]  # it is compared, never a key

    def items(self) -> Iterator[tuple[str, Sourced]]:
        return iter(self._values.items())

    def source(self, name: str) -> str:
        return self._values[name].source

    @property
    def api_url(self) -> str:
        return cast(str, self._values["api_url"].value)

    @property
    def log_level(self) -> str:
        return "debug" if self._values["debug"].value else cast(str, self._values["log_level"].value)

    @property
    def idle_seconds(self) -> float:
        return cast(float, self._values["agent.idle_seconds"].value)

    @property
    def log_bytes(self) -> int:
        """0 when the local log is off."""
        return cast(int, self._values["log.max_bytes"].value) if self._values["log.enabled"].value else 0

    @property
    def redacts(self) -> bool:
        return cast(bool, self._values["redaction.enabled"].value)

    @property
    def allowed(self) -> tuple[str, ...]:
        return cast(tuple[str, ...], self._values["redaction.allow"].value)

    @property
    def holds_tools(self) -> bool:
        return self._values["tools.on_change"].value == "hold"

    @property
    def prices(self) -> tuple[float, float, str]:
        """Of a million tokens read and written, and their currency."""
        read, written, currency = (
            self._values[f"cost.{name}"].value
            for name in ("input_per_million_tokens", "output_per_million_tokens", "currency")
        )
        return cast(float, read), cast(float, written), cast(str, currency)

    @property
    def sandbox(self) -> Level:
        return cast("Level", self._values["sandbox"].value)

    def plugin_settings(self, name: str) -> Mapping[str, object]:
        """What the person set for the plugin of that name, tables within tables as they stand in the file."""
        return self._plugins.get(name, {})

    def find(self, name: str) -> Sourced | None:
        """The setting called `name`; of a plugin, a whole table too. Raises `ClientError` on a name that cannot be."""
        if not name.startswith(plugin_settings.PREFIX):
            return self._values.get(name)
        value = plugin_settings.value_at({"plugins": self._plugins}, plugin_settings.parts(name))
        return None if value is None else Sourced(value, str(paths.config_file()))

    @property
    def patterns(self) -> dict[str, str]:
        """Kind → regular expression."""
        named = ((name, found.value) for name, found in self._values.items() if name.startswith(PATTERN_PREFIX))
        return {name.removeprefix(PATTERN_PREFIX): str(value) for name, value in named}


def load(flags: Mapping[str, str | None] | None = None, environment: Mapping[str, str] | None = None) -> Config:
    """The settings now. `environment` is the process's unless given; the agent gives none, being of all sessions."""
    variables = os.environ if environment is None else environment
    path = paths.config_file()
    values = {name: Sourced(setting.default, DEFAULT) for name, setting in SETTINGS.items()}
    written = read_file(path)
    plugins = plugin_settings.checked(written.pop("plugins", {}), str(path))
    for name, value in _flattened(written):
        values[name] = Sourced(checked(known(name, path), value, str(path)), str(path))
    for steps, value in plugin_settings.leaves(plugins):
        values[plugin_settings.name_of(["plugins", *steps])] = Sourced(value, str(path))
    for setting in SETTINGS.values():
        if setting.variable and variables.get(setting.variable):
            text = variables[setting.variable]
            values[setting.name] = Sourced(checked(setting, text, setting.variable), setting.variable)
    for name, flag in (flags or {}).items():
        if flag is not None:
            values[name] = Sourced(checked(SETTINGS[name], flag, FLAG), FLAG)
    return Config(values, plugins)


def read_file(path: Path) -> dict[str, Any]:
    """The file as it stands, unchecked; empty if there is none."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # Windows' editors put a byte order mark before it
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ClientError(
            "bad_config", f"{path} is not TOML: {error}", "correct the file, or move it away to start from the defaults"
        ) from None
    except OSError as error:
        raise ClientError("bad_config", f"{path} cannot be read: {error.strerror}", "correct its permissions") from None


def _flattened(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def known(name: str, path: Path | None) -> Setting:
    """The setting called `name`, which stands in the file at `path` or, without one, in a command; not a plugin's."""
    setting = find(name)
    if setting is not None:
        return setting
    near = difflib.get_close_matches(name, SETTINGS, 1)
    meant = f"; did you mean `{near[0]}`?" if near else ""
    where = f" in {path}" if path else ""
    if name == "api_key":
        hint = "run `km-client init --api-key KEY`: keys are kept in a file of their own that nobody else can read"
    elif name.startswith(PATTERN_PREFIX):
        meant, hint = "", "name a pattern with small letters, digits and `_`, a letter first"
    else:
        hint = "remove it from the file" if path else "`km-client config list` shows every setting"
    raise ClientError("unknown_setting", f"there is no setting `{name}`{where}{meant}", hint)


def checked(setting: Setting, value: object, source: str) -> Value:
    """`value` as the setting wants it."""
    try:
        return setting.parse(value)
    except ValueError as error:
        fix = f"run `km-client config set {setting.name} '{setting.example}'`"
        if source == setting.variable:
            fix = f"set {source}={setting.example}, or unset it"
        elif source in {FLAG, "the command line"}:
            fix = f"give a value such as {setting.example}"
        raise ClientError("bad_setting", f"`{setting.name}` from {source} is {_shown(value)}: {error}", fix) from None


def _shown(value: object) -> str:
    """As it was written, without the password of an address: errors stand in MCP clients' logs."""
    return re.sub(r"//[^/\s]*@", "//…@", repr(value))
