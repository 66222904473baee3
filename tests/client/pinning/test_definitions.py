r"""A definition has the digest the service has for it, and every part of a list is found where it stands."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from km_client.pinning import definitions, spans

from events import definitions_reading
from events.store import NewEvent
from tests.client.pinning.conftest import listing, tool

NOW = datetime(2026, 11, 22, tzinfo=UTC)
BIG = tool("big", "x" * definitions.MAX_KEPT_BYTES)
DEEP = '{"tools":[{"name":"a","inputSchema":' + "[" * 300 + "]" * 300 + "}]}"


def of_service(text: str) -> list[tuple[str, str]]:
    """Name and digest of each tool as the service reads them."""
    about = (1, UUID(int=0), "c", NOW, "response", "response", "tools/list", "", "s", 1, 1.0, False)
    event = NewEvent(*about, len(text), ("git", "", ""), ("", "", ""), False, False, text)
    page = definitions_reading.page_of(event)
    return [(each.name, each.digest) for each in page.tools] if page else []


def of_client(text: str) -> list[tuple[str, str]]:
    found = definitions.read(text, spans.whole(text).start)
    return [(each.name, each.digest) for each in found.definitions] if found else []


def answer(result: str) -> str:
    return f'{{"jsonrpc":"2.0","id":1,"result":{result}}}'


@pytest.mark.parametrize(
    "result",
    [
        '{"tools":[]}',
        '{"tools":[{"name":"a"}]}',
        '{"tools":[{"name":"a","description":null,"annotations":{"readOnlyHint":true}}], "nextCursor" : "x"}',
        '{"tools":[{"name":"a","inputSchema":{"b":1.0,"a":[1e400,1.50,-0.0,123456789012345678901234567890]}}]}',
        '{"tools":[{"name":"a","title":"é\u200b\U0001f600","description":"caf\\u00e9 \\ud83d\\ude00"}]}',
        r'{"tools":[{"name":"a","description":"half \ud83d of it, \\ud83d too"}]}',
        '{"tools":[{"name":"a","description":"first","description":"last"}]}',
        '{"tools":[{"name":"a","icons":[1],"_meta":{"x":1},"execution":{}},{"name":"b","outputSchema":{}}]}',
        '{"resultType":"complete","tools":[{"name":"a"}]}',
        '{"resultType":"input_required","tools":[{"name":"a"}]}',
        '{"tools":null}',
        DEEP,
        json.dumps({"tools": [BIG]}),
    ],
)
def test_the_digest_is_the_services(result: str) -> None:
    assert of_client(answer(result)) == of_service(answer(result))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
TOOL = st.fixed_dictionaries(
    {"name": st.text(min_size=1, max_size=20).filter(lambda name: "\0" not in name)},
    optional=dict.fromkeys((*definitions.KEYS, "icons"), JSON),
)


@given(st.lists(TOOL, max_size=4), st.booleans(), st.sampled_from([None, 1]))
@example([{"name": "a", "description": "\x7f\u2028"}], True, None)
def test_whatever_a_definition_holds_both_agree_on_it(tools: list[Any], ascii_only: bool, indent: int | None) -> None:
    text = json.dumps({"id": 1, "result": {"tools": tools}}, ensure_ascii=ascii_only, indent=indent)
    assert of_client(text) == of_service(text)


@given(JSON, st.sampled_from([None, 2]))
def test_spans_are_where_the_parts_stand(value: Any, indent: int | None) -> None:
    text = f" {json.dumps({'a': value, 'b': [value, 1]}, indent=indent)} "
    found, is_ambiguous = spans.members(text, spans.whole(text).start)
    assert {name: json.loads(span.of(text)) for name, span in found.items()} == {"a": value, "b": [value, 1]}
    assert [json.loads(span.of(text)) for span in spans.elements(text, found["b"].start)] == [value, 1]
    assert not is_ambiguous


@pytest.mark.parametrize("text", ["", "{", '{"a"}', '{"a":1,}', '{"a" 1}', "{a:1}", '{"a":1}x'])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        spans.members(text, spans.whole(text).start)


@pytest.mark.parametrize(
    "element",
    ['{"name":"a","name":"b"}', '{"name":"a","Description":"other"}', '{"name":"a","inputSchema":{},"INPUTSCHEMA":{}}'],
)
def test_what_readers_may_differ_about_is_known_for_it(element: str) -> None:
    found = definitions.read(answer(f'{{"tools":[{element},{{"name":"c","x":1,"X":2}}]}}'))
    assert found
    assert [each.is_ambiguous for each in found.tools] == [True, False]


def test_a_plain_list_is_not_ambiguous() -> None:
    found = definitions.read(listing(tool("a"), tool("b")).decode())
    assert found
    assert (found.is_ambiguous, [each.is_ambiguous for each in found.tools]) == (False, [False, False])


def test_a_definition_keeps_the_text_it_came_as_unless_that_is_too_long() -> None:
    text = answer('{"tools":[ {"name" : "a",  "description":"caf\\u00e9"} ,' + json.dumps(BIG) + "]}")
    found = definitions.read(text)
    assert found
    assert [each.text for each in found.definitions] == ['{"name" : "a",  "description":"caf\\u00e9"}', ""]
