"""Documents that people write, as trees that know where each value stands, and edits of nothing but those places.

written = syntax("jsonc")
tree = written.parse('{"a": [1]}', [("a",)])         tree.get("a").node.start == 6
editing.replace_head(text, tree.get("a"), 0, ["x"]) → [Edit(7, 7, '"x", ')]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from km_client.wrapping.documents.tree import Node, Way


class Syntax(NamedTuple):
    """How one kind of document is read, and how a member is written: `assign("args")` is `"args": ` in JSON.

    `parse` takes the text without its byte order mark and the ways to what is wanted of it; it raises `ParseError`.
    """

    name: str
    parse: Callable[[str, Sequence[Way]], Node]
    assign: Callable[[str], str]


def syntax(name: str) -> Syntax:
    """`jsonc` (JSON is the same without its freedoms), `toml` or `yaml`; only that one is loaded."""
    if name == "toml":
        from km_client.wrapping.documents import toml  # noqa: PLC0415 - most people have no such file

        return Syntax(name, toml.parse, "{} = ".format)
    if name == "yaml":
        from km_client.wrapping.documents import yaml  # noqa: PLC0415 - the same

        return Syntax(name, yaml.parse, "{}: ".format)
    from km_client.wrapping.documents import jsonc  # noqa: PLC0415 - the same

    return Syntax(name, jsonc.parse, '"{}": '.format)
