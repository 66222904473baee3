"""A plugin's own settings: the JSON Schema in its manifest, and settings checked by it with defaults filled in.

    schema = {"type": "object", "properties": {"log_level": {"enum": ["info", "warn"], "default": "info"}}}
    apply(schema, {})                        {"log_level": "info"}
    apply(schema, {"log_level": "loud"})     SettingsError at $.log_level

Schemas are JSON Schema 2020-12 and come from strangers, so a schema may not fetch (`$ref` only within itself), may not
recurse, and its patterns are short. The library is imported on first use: most plugins have no schema.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from km_protocol.errors import Problem, SettingsError
from km_protocol.kmpkg.reading import child

if TYPE_CHECKING:
    from jsonschema import ValidationError

MAX_PATTERN = 200  # a longer pattern is a program; Python's matcher can be made to run for hours
_NESTED_QUANTIFIER = re.compile(r"\([^()]*[+*][^()]*\)[+*{]")


def check_schema(schema: Mapping[str, Any], path: str) -> list[Problem]:
    """What is wrong with a settings schema, its defaults included. `path` is where it stands in its document."""
    problems = [*_dangers(schema, path)]
    if schema.get("type", "object") != "object":
        problems.append(Problem(f"{path}.type", "settings are an object", 'write `"type": "object"`'))
    if problems:  # the library would follow what has just been refused
        return problems
    from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415

    try:
        Draft202012Validator.check_schema(dict(schema))
    except SchemaError as error:
        return [Problem(_path(path, error.absolute_path), error.message, "see JSON Schema 2020-12")]
    return [*_bad_defaults(schema, path)]


def apply(schema: Mapping[str, Any] | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` with the schema's defaults filled in, checked. Raises `SettingsError` with every problem."""
    settings: dict[str, Any] = copy.deepcopy(dict(given))
    if not schema:
        return settings
    _fill(schema, settings)
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    errors = sorted(Draft202012Validator(dict(schema)).iter_errors(settings), key=_place)
    if errors:
        raise SettingsError([Problem(_path("$", error.absolute_path), error.message) for error in errors])
    return settings


def _fill(schema: Mapping[str, Any], settings: dict[str, Any]) -> None:
    """Defaults of `properties`, also within nested objects; an object is made when something in it has a default."""
    for name, property_schema in schema.get("properties", {}).items():
        if not isinstance(property_schema, Mapping):
            continue
        if name not in settings and "default" in property_schema:
            settings[name] = copy.deepcopy(property_schema["default"])
        if "properties" not in property_schema:
            continue
        nested = settings.get(name, {})
        if isinstance(nested, dict):
            _fill(property_schema, nested)
            if nested:
                settings[name] = nested


def _dangers(node: object, path: str) -> Iterator[Problem]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _danger(key, value, child(path, str(key)))
            yield from _dangers(value, child(path, str(key)))
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _dangers(item, f"{path}[{index}]")


def _danger(key: str, value: object, path: str) -> Iterator[Problem]:
    if key in {"$ref", "$dynamicRef"} and isinstance(value, str):
        if not value.startswith("#/$defs/"):
            yield Problem(path, f"`{value[:80]}` lies outside this schema", "refer to `#/$defs/…` only")
    elif key in {"$id", "$dynamicAnchor", "$schema"} and isinstance(value, str):
        if key != "$schema" or value.rstrip("#") != "https://json-schema.org/draft/2020-12/schema":
            yield Problem(path, f"`{key}` cannot be set here", "settings schemas are JSON Schema 2020-12")
    elif key == "pattern" and isinstance(value, str):
        yield from _bad_pattern(value, path)
    elif key == "patternProperties" and isinstance(value, Mapping):
        for pattern in value:
            yield from _bad_pattern(pattern, path)


def _bad_pattern(pattern: str, path: str) -> Iterator[Problem]:
    if len(pattern) > MAX_PATTERN or _NESTED_QUANTIFIER.search(pattern):
        hint = f"no nested repeats, at most {MAX_PATTERN} characters"
        yield Problem(path, "this pattern can take very long to match", hint)
        return
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        yield Problem(path, f"not a regular expression: {error}")


def _bad_defaults(schema: Mapping[str, Any], path: str) -> Iterator[Problem]:
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    for name, property_schema in schema.get("properties", {}).items():
        if not isinstance(property_schema, Mapping):
            continue
        where = child(f"{path}.properties", name)
        if "default" in property_schema and "$ref" not in property_schema:
            for error in Draft202012Validator(dict(property_schema)).iter_errors(property_schema["default"]):
                yield Problem(f"{where}.default", error.message, "a default must be a value the schema allows")
        yield from _bad_defaults(property_schema, where)


def _place(error: ValidationError) -> list[str]:
    return [str(part) for part in error.absolute_path]


def _path(start: str, parts: Iterable[str | int]) -> str:
    for part in parts:
        start = f"{start}[{part}]" if isinstance(part, int) else child(start, part)
    return start
