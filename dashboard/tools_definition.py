"""A tool's definition as a person reads it: description, parameters as a table, and the JSON; nothing in it hides.

shown = read(row, body)
shown.description       escaped; characters that do not show are spelled out
shown.hidden            how many of those there are in all of it: an honest definition has none
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any

from django.utils.html import strip_tags
from django.utils.safestring import SafeString

from dashboard.json_view import pretty, visible
from events.definitions_queries import DefinitionRow

MAX_RAW_CHARACTERS = 8 * 1024  # the rest is downloaded
MAX_PARAMETERS = 60
MAX_WORDS_CHARACTERS = 2_000
MAX_TYPES = 8
_SAID = ("type", "description", "title", "properties", "items", "anyOf", "oneOf", "$ref")
_HIDDEN = 'class="unseen"'  # no text of a server's has it: quotes are escaped


@dataclass(frozen=True, slots=True)
class Parameter:
    """One of the input schema's properties. `rules` is everything else the schema says of it."""

    name: SafeString
    type: SafeString
    is_required: bool
    words: SafeString
    rules: SafeString


@dataclass(frozen=True, slots=True)
class Shown:
    """`more` parameters are not among those listed; `raw` is JSON, `is_whole` whether it is all of it."""

    row: DefinitionRow
    title: SafeString
    description: SafeString
    parameters: list[Parameter]
    more: int
    raw: SafeString
    is_whole: bool
    hidden: int


def fields_of(body: str) -> dict[str, Any]:
    """What the canonical JSON holds."""
    fields: dict[str, Any] = json.loads(body)
    return fields


def words_of(fields: Mapping[str, Any], key: str) -> str:
    """A text of a definition; a server may put anything there."""
    value = fields.get(key, "")
    return value.replace("\r\n", "\n") if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def spelled(text: str) -> str:
    """`text` for where no markup may be, with the characters that do not show spelled out."""
    return unescape(strip_tags(visible(text)))


def read(row: DefinitionRow, body: str) -> Shown:
    """The definition `row`, whose JSON is `body`."""
    fields = fields_of(body)
    text = json.dumps(fields, ensure_ascii=False)
    parameters = _parameters(fields.get("inputSchema"))
    return Shown(
        row=row,
        title=visible(words_of(fields, "title")),
        description=visible(words_of(fields, "description")[:MAX_RAW_CHARACTERS]),
        parameters=parameters[:MAX_PARAMETERS],
        more=max(0, len(parameters) - MAX_PARAMETERS),
        raw=pretty(text[:MAX_RAW_CHARACTERS]),
        is_whole=len(text) <= MAX_RAW_CHARACTERS,
        hidden=visible(text).count(_HIDDEN),
    )


def _parameters(schema: Any) -> list[Parameter]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return []
    required = schema.get("required")
    wanted = {each for each in required if isinstance(each, str)} if isinstance(required, list) else set()
    some = list(properties.items())
    listed = [_parameter(name, said, name in wanted) for name, said in some[:MAX_PARAMETERS]]
    return listed + [listed[-1]] * (len(some) - len(listed))


def _parameter(name: str, said: Any, is_required: bool) -> Parameter:
    schema = said if isinstance(said, dict) else {}
    rules = {key: value for key, value in schema.items() if key not in _SAID}
    return Parameter(
        name=visible(_short(name)),
        type=visible(_short(_type(said))),
        is_required=is_required,
        words=visible(_short(words_of(schema, "description"))),
        rules=visible(_short(", ".join(f"{key}: {_compact(value)}" for key, value in rules.items()))),
    )


def _type(said: Any, depth: int = 0) -> str:
    """`string`, `string | null`, `integer[]`, `Path`; `any` where nothing is said."""
    if not isinstance(said, dict) or depth > 3:
        return "any"
    for choice in ("anyOf", "oneOf"):
        if isinstance(said.get(choice), list):
            return " | ".join(dict.fromkeys(_type(each, depth + 1) for each in said[choice][:MAX_TYPES])) or "any"
    if isinstance(said.get("$ref"), str):
        return str(said["$ref"]).rpartition("/")[2]
    kind = said.get("type", "any")
    kinds = [str(each) for each in kind[:MAX_TYPES]] if isinstance(kind, list) else [str(kind)]
    if kinds == ["array"]:
        return f"{_type(said.get('items'), depth + 1)}[]"
    return " | ".join(kinds)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _short(text: str) -> str:
    return text if len(text) <= MAX_WORDS_CHARACTERS else f"{text[:MAX_WORDS_CHARACTERS]}…"
