"""The readers say what the formats' own parsers say, know where it stands, and name the place of a mistake."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
import tomlkit
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from km_client.wrapping.documents import jsonc, toml
from km_client.wrapping.documents import yaml as yaml_reader
from km_client.wrapping.documents.editing import literal
from km_client.wrapping.documents.tree import ALL, Node, ParseError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
plain_texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)


def nested(scalars: st.SearchStrategy[Any], keys: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    values = st.recursive(
        scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(keys, v, max_size=3), max_leaves=12
    )
    return st.dictionaries(keys, values, max_size=4)


def said(node: Node, text: str, scalar: Any) -> Any:
    """The node as Python has it; its characters are read by `scalar` where it has no parts."""
    if node.kind == "table":
        return {member.key: said(member.node, text, scalar) for member in node.members}
    if node.kind == "list":
        return [said(item, text, scalar) for item in node.items]
    assert node.kind == "other" or node.text == scalar(text[node.start : node.end])
    return scalar(text[node.start : node.end])


json_values = nested(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts, texts
)


@given(json_values, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_json_is_read_as_the_standard_library_reads_it(value: Any, indent: Any, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert said(jsonc.parse(text, ALL), text, json.loads) == value
    other = jsonc.parse(text, [("never",)])
    assert [text[member.node.start : member.node.end] for member in other.members] == [
        m.node.text for m in other.members
    ]


@given(nested(st.booleans() | st.integers(-(2**60), 2**60) | texts, texts))
@settings(deadline=None)
def test_toml_is_read_as_the_standard_library_reads_it(value: dict[str, Any]) -> None:
    text = tomlkit.dumps(value)
    read = said(toml.parse(text, ALL), text, lambda raw: tomllib.loads(f"x = {raw}")["x"])
    assert read == tomllib.loads(text)


TOML = '''
a.b."c d" = 1 # x
[t]
s = """x"" \\" ]"""
l = [ # no
  'a', { q = "}" },
]
d = 1979-05-27 07:32:00Z
[[t.many]]
n = 1
[[t.many]]
n.o = 2
[t.many.sub]
z = \'\'\'it's \'\'\'
'''


def test_tomls_odder_ways_are_read() -> None:
    assert said(toml.parse(TOML, ALL), TOML, lambda raw: tomllib.loads(f"x = {raw}")["x"]) == tomllib.loads(TOML)


@given(nested(st.integers() | plain_texts, plain_texts), st.booleans())
@settings(deadline=None)
def test_yaml_is_read_as_its_library_reads_it(value: Any, flow: bool) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True)
    assert said(yaml_reader.parse(text, ALL), text, yaml.safe_load) == yaml.safe_load(text)


@given(st.text())
def test_a_literal_is_read_back_by_all_three(value: str) -> None:
    assert json.loads(literal(value)) == value
    if all(not 0xD800 <= ord(char) <= 0xDFFF for char in value):
        assert tomllib.loads(f"x = {literal(value)}")["x"] == value
        assert yaml.safe_load(literal(value)) == value


@pytest.mark.parametrize(
    ("reader", "text", "place", "word"),
    [
        (jsonc, '{\n  "a": 1\n  "b": 2\n}', (3, 3), "`,` or `}`"),
        (jsonc, '{"a": tru}', (1, 7), "a value"),
        (jsonc, '{"a": 01}', (1, 8), "`,`"),
        (jsonc, '{"a": NaN}', (1, 7), "a value"),
        (jsonc, "{'a': 1}", (1, 2), "a key"),
        (jsonc, '{"a": "x\ty"}', (1, 7), "escape"),
        (jsonc, '{"a": 1} x', (1, 10), "after its end"),
        (jsonc, '{"a": 1 /* x', (1, 9), "comment that does not end"),
        (jsonc, '{\r\n"a": [1,,2]}', (2, 9), "`,`"),
        (jsonc, '{"a": ' + "[" * 100_000, (1, 156), "within each other"),
        (toml, 'a = 1\nb = "x', (2, 7), ""),
        (toml, "a = 1\na = 2", (2, 6), "overwrite"),
        (toml, "a = " + "[" * 100_000, (1, 1), "within each other"),
        (yaml_reader, "a: [1\nb: 2", (2, 2), ""),
        (yaml_reader, "a: 1\n---\nb: 2", (2, 1), "second document"),
        (yaml_reader, "a: " + "[" * 1000, (1, 154), "within each other"),
        (yaml_reader, "a: \x07", (1, 4), ""),
    ],
)
def test_a_mistake_is_named_with_its_line_and_column(reader: Any, text: str, place: tuple[int, int], word: str) -> None:
    with pytest.raises(ParseError) as raised:
        reader.parse(text, [("mcpServers",)])
    assert (raised.value.line, raised.value.column) == place and word in str(raised.value)


@pytest.mark.parametrize("reader", [jsonc, toml, yaml_reader])
def test_an_empty_document_has_no_servers(reader: Any) -> None:
    assert reader.parse("", ALL).members in ([], ())
