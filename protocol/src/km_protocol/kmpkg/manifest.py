"""A plugin's `manifest.json`: what it is, what it works with, what it may do.

    {"name": "my-plugin", "version": "1.0.0", "description": "…", "author": "Your Organization", "license": "MIT",
     "runtime": "go", "entry": "my-plugin",
     "compatibility": {"kilometers_cli": ">=0.1.0", "go_version": ">=1.24"},
     "features": {"required": ["console_logging"], "optional": ["api_logging"]},
     "permissions": {"network": true, "filesystem": false, "system": false}}

`parse` is strict (an unknown key is an error, so a misspelt permission cannot pass for an absent one) and complete (one
`ManifestError` lists every problem). It needs no network and no clock. `runtime` and `entry` are ours: the guide's own
manifest has neither and is a Go plugin whose binary is called like the plugin.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from km_protocol.errors import ManifestError, Problem, VersionError
from km_protocol.kmpkg import names, settings
from km_protocol.kmpkg.build_flags import refused_flags
from km_protocol.kmpkg.reading import MISSING, Reader, decode
from km_protocol.kmpkg.versions import Version, VersionRange

FILE_NAME = "manifest.json"
MAX_BYTES = 64 * 1024  # the guide's is 1.2 KB
MAX_FEATURES = 64
ANY = VersionRange("*", ())
Runtime = Literal["go", "python"]
T = TypeVar("T")

_FEATURE = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_PATH_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", re.ASCII)
# What Windows opens as a device, with any extension.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{name}{digit}" for name in ("com", "lpt") for digit in range(1, 10))}


@dataclass(frozen=True, slots=True)
class Compatibility:
    """What the plugin runs with. The language's range is the toolchain it is built with."""

    kilometers_cli: VersionRange
    go_version: VersionRange = ANY
    python_version: VersionRange = ANY


@dataclass(frozen=True, slots=True)
class Features:
    """`required`: without one of them the plugin is not started. `optional`: it does less."""

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Permissions:
    """What the sandbox leaves open. `api_key`: it asks for the customer's API key, which the operator may refuse."""

    network: bool = False
    filesystem: bool = False
    system: bool = False
    api_key: bool = False


@dataclass(frozen=True, slots=True)
class Build:
    go_build_flags: tuple[str, ...] = ()
    minimum_size: bool = False
    debug_symbols: bool = False


@dataclass(frozen=True, slots=True)
class Security:
    """What must hold for a published build; development builds are neither signed nor of one customer."""

    customer_specific: bool = True
    digital_signature: bool = True
    jwt_validation: bool = True
    api_authentication: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that passed `parse`. `configuration` is the JSON Schema of the plugin's settings, or `{}`."""

    name: str
    version: Version
    description: str
    author: str
    license: str
    runtime: Runtime
    entry: str
    compatibility: Compatibility
    features: Features
    permissions: Permissions
    configuration: Mapping[str, Any] = field(hash=False)
    build: Build
    security: Security

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """`given` checked by `configuration`, with its defaults filled in. Raises `SettingsError`."""
        return settings.apply(self.configuration, given)


def parse(data: bytes) -> Manifest:
    """Raises `ManifestError` with all problems, in the order of the file's sections."""
    problems: list[Problem] = []
    document = decode(data, problems, limit=MAX_BYTES)
    if problems and not document:
        raise ManifestError(problems)
    reader = Reader(document, "$", problems)
    manifest = _read(reader)
    reader.refuse_unknown()
    if problems:
        raise ManifestError(problems)
    return manifest


def _read(reader: Reader) -> Manifest:
    name = reader.text("name", pattern=names.PATTERN, longest=names.MAX_LENGTH, hint=names.HINT)
    runtime = _runtime(reader)
    return Manifest(
        name=name,
        version=_version(reader),
        description=reader.text("description", longest=500, hint="one sentence on what it does"),
        author=reader.text("author", hint="a person or an organisation"),
        license=reader.text("license", pattern=r"[A-Za-z0-9 .()+-]+", hint="an SPDX expression, such as `MIT`"),
        runtime=runtime,
        entry=_entry(reader, name, runtime),
        compatibility=_compatibility(reader.object("compatibility", required=True)),
        features=_features(reader.object("features")),
        permissions=_permissions(reader.object("permissions", required=True, hint="say what it may do, even nothing")),
        configuration=_configuration(reader.object("configuration")),
        build=_build(reader.object("build")),
        security=_security(reader.object("security")),
    )


def _version(reader: Reader) -> Version:
    hint = "MAJOR.MINOR.PATCH, such as `1.0.0`"
    text = reader.text("version", longest=100, hint=hint)
    return _checked(reader, "version", text, Version.parse) or Version((0, 0, 0), (), "0.0.0")


def _checked(reader: Reader, key: str, text: str, parse_text: Callable[[str], T]) -> T | None:
    try:
        return parse_text(text) if text else None
    except VersionError as error:
        reader.report(f"{reader.path}.{key}", str(error), error.hint)
        return None


def _runtime(reader: Reader) -> Runtime:
    text = reader.text("runtime", required=False)
    if text not in {"", "go", "python"}:
        reader.report("$.runtime", f"`{text}` is not a runtime", "write `go` or `python`")
    return "python" if text == "python" else "go"


def _entry(reader: Reader, name: str, runtime: Runtime) -> str:
    """The file to start, relative to the plugin's directory."""
    text = reader.text("entry", required=False) or ("main.py" if runtime == "python" else name)
    if text and not is_plain_path(text):
        reader.report("$.entry", f"`{text}` is not a plain path within the plugin", "such as `main.py`")
    elif runtime == "python" and not text.endswith(".py"):
        reader.report("$.entry", f"`{text}` is not a Python file", "name the file that calls `serve()`")
    return text


def is_plain_path(text: str) -> bool:
    """Relative, forward slashes, ASCII words, no `..`, nothing hidden, no name that some system treats specially."""
    parts = text.split("/")
    return len(text) <= 200 and all(
        _PATH_PART.fullmatch(part) and not part.endswith(".") and part.split(".")[0].lower() not in _DEVICES
        for part in parts
    )


def _compatibility(reader: Reader) -> Compatibility:
    ranges = {}
    for key in ("kilometers_cli", "go_version", "python_version"):
        required = key == "kilometers_cli"
        text = reader.text(key, required=required, longest=100, hint="a range, such as `>=1.0.0`")
        ranges[key] = _checked(reader, key, text, VersionRange.parse) or ANY
    reader.refuse_unknown()
    return Compatibility(**ranges)


def _features(reader: Reader) -> Features:
    seen: dict[str, str] = {}
    lists: dict[str, list[str]] = {"required": [], "optional": []}
    for key, listed in lists.items():
        for path, name in reader.words(key, most=MAX_FEATURES):
            if not _FEATURE.fullmatch(name):
                reader.report(path, f"`{name[:80]}` is not a feature's name", "such as `console_logging`")
            elif name in seen:
                reader.report(path, f"`{name}` is listed already at {seen[name]}", "list each feature once")
            else:
                seen[name] = path
                listed.append(name)
    reader.refuse_unknown()
    return Features(tuple(lists["required"]), tuple(lists["optional"]))


def _permissions(reader: Reader) -> Permissions:
    hint = "write true or false"
    permissions = Permissions(*(reader.flag(key, hint=hint) for key in ("network", "filesystem", "system", "api_key")))
    reader.refuse_unknown()
    return permissions


def _configuration(reader: Reader) -> Mapping[str, Any]:
    schema = reader.take("schema", dict)
    reader.refuse_unknown()
    if schema is MISSING or not isinstance(schema, dict):
        return {}
    reader.problems.extend(settings.check_schema(schema, f"{reader.path}.schema"))
    return schema


def _build(reader: Reader) -> Build:
    flags = list(reader.words("go_build_flags", most=32))
    reader.problems.extend(refused_flags(flags))
    build = Build(tuple(flag for _, flag in flags), reader.flag("minimum_size"), reader.flag("debug_symbols"))
    reader.refuse_unknown()
    return build


def _security(reader: Reader) -> Security:
    default = Security()
    keys = ("customer_specific", "digital_signature", "jwt_validation", "api_authentication")
    security = Security(*(reader.flag(key, default=getattr(default, key)) for key in keys))
    reader.refuse_unknown()
    return security
