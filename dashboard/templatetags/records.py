"""What an entry of the audit log holds, in words: nothing that is empty, no spelling of a programming language.

{"kind": "errors", "server": "", "at_least": 20, "destinations": ["dst_1"]}|facts
→ kind errors · at least 20 · destinations dst_1
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template

register = template.Library()


@register.filter
def facts(details: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, value) of each that says something."""
    return [(name.replace("_", " "), words) for name, value in details.items() if (words := _words(value))]


def _words(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case list():
            return ", ".join(filter(None, map(_words, value)))
        case dict():
            return ", ".join(f"{name} {words}" for name, each in value.items() if (words := _words(each)))
        case _:
            return str(value)
