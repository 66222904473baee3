"""Estimates follow the text, whatever it is, and each message costs what a model sees of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from km_client import tokens
from km_client.tokens import IMAGE_TOKENS, Prices, Use

from benchmarks import tokens as bench
from tests.client.redaction_corpus import traffic


@pytest.mark.parametrize(
    "block",
    [{"type": []}, {"type": {}}, {"type": "x", "n": 10**30}, {"type": "text", "text": "\ud800"}, {"x": "[" * 9}],
)
def test_a_block_of_any_shape_costs_something_or_nothing_known(block: object) -> None:
    of_result = tokens.of_message("tools/call", message(result={"content": [block]}))
    assert of_result is None or of_result.tokens >= 0


def test_a_result_nested_too_deeply_costs_nothing_known() -> None:
    deep = b'{"result":{"content":[{"type":"x","y":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}}"
    assert tokens.of_message("tools/call", deep) is None


def message(**said: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, **said}).encode()


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("", 0, 0),
        ("hello", 1, 2),
        ("The quick brown fox jumps over the lazy dog.", 9, 13),  # ten in cl100k and o200k
        ("def read(path: str) -> bytes:\n    return open(path).read()\n", 14, 24),
        ("1234567890" * 10, 30, 40),
        ("ファイルが見つかりません。", 6, 14),
    ],
)
def test_an_estimate_is_near_what_vocabularies_give(text: str, low: int, high: int) -> None:
    assert low <= tokens.estimate(text.encode()) <= high


@given(st.binary(max_size=400), st.binary(max_size=400))
def test_more_text_never_costs_less(first: bytes, second: bytes) -> None:
    assert tokens.estimate(first + b"\n" + second) >= tokens.estimate(first) >= 0


def test_a_call_costs_its_arguments_and_a_result_its_text_as_the_model_reads_it() -> None:
    text = 'a "quoted" line\n' * 50
    call = message(method="tools/call", params={"name": "write", "arguments": {"text": text}})
    answer = message(result={"content": [{"type": "text", "text": text}], "structuredContent": {"text": text}})
    assert tokens.of_message("tools/call", answer) == Use("result", tokens.estimate(text.encode()))
    used = tokens.of_message("tools/call", call)
    assert used and used.kind == "arguments" and used.tokens > tokens.estimate(text.encode())


def test_the_result_of_a_task_costs_as_much_as_any_and_the_task_itself_nothing() -> None:
    result = {"content": [{"type": "text", "text": "It rains. " * 20}]}
    whole = tokens.of_message("tools/call", message(result=result))
    state = {"resultType": "complete", "taskId": "t1", "status": "completed", "ttlMs": 60_000, "result": result}
    assert whole and tokens.of_message("tools/call", message(result=state)) == whole
    to_come: list[dict[str, object]] = [
        {"task": {"taskId": "t1", "status": "working"}},
        {"resultType": "task", "taskId": "t1", "status": "working"},
        {"resultType": "input_required", "requestState": "x" * 500},
    ]
    assert [tokens.of_message("tools/call", message(result=each)) for each in to_come] == [None] * 3
    told = {"structuredContent": {"task": {"id": 7}}, "task": "none"}
    assert tokens.of_message("tools/call", message(result=told))


def test_a_picture_costs_the_same_whatever_its_bytes() -> None:
    blocks = [{"type": "image", "mimeType": "image/png", "data": "A" * 100_000}]
    assert tokens.of_message("tools/call", message(result={"content": blocks})) == Use("result", IMAGE_TOKENS)


def test_definitions_cost_what_every_prompt_carries() -> None:
    tools = [{"name": "read", "description": "Reads a file.", "inputSchema": {"type": "object"}}]
    used = tokens.of_message("tools/list", message(result={"tools": tools, "_meta": {"x": "y" * 1000}}))
    assert used == Use("definitions", tokens.estimate(json.dumps(tools).encode()))
    assert Prices(3.0, 15.0, "EUR").words(Use("definitions", 2000)) == "~2,000 tokens  0.0060 EUR in every prompt"


@pytest.mark.parametrize(
    ("method", "body"),
    [("ping", b'{"result":{}}'), ("tools/call", b"[1"), (None, b""), ("tools/call", b'{"result":3}')],
)
def test_what_no_model_sees_costs_nothing(method: str | None, body: bytes) -> None:
    assert tokens.of_message(method, body) is None


def test_the_page_shows_the_figures_that_were_measured() -> None:
    assert bench.written() == bench.text(json.loads(bench.FIGURES.read_text()))


def test_texts_that_can_be_made_again_are_estimated_as_the_page_says() -> None:
    shown = json.loads(bench.FIGURES.read_text())["kinds"]
    texts: dict[str, list[str]] = {kind: [text] for kind, text in bench.OTHER_SCRIPTS.items()}
    for kind, text in bench.pieces("made", traffic.made(bench.CALLS, bench.SEED)):
        texts.setdefault(kind, []).append(text)
    for kind, found in texts.items():
        estimated, of = sum(tokens.estimate(text.encode()) for text in found), shown[kind]
        assert (of["texts"], of["estimated"]) == (len(found), estimated), (
            f"`scripts/bench tokens --docs` is due: {kind}"
        )
        assert of["sum_off_percent"] == round(100 * (estimated - of["tokens"]) / of["tokens"], 1)


def test_writing_and_reading_have_prices_of_their_own() -> None:
    prices = Prices(3.0, 15.0, "USD")
    assert prices.cost(Use("arguments", 1_000_000)) == 15.0
    assert prices.cost(Use("result", 1_000_000)) == 3.0
    assert Prices(0, 0, "USD").words(Use("result", 1_200)) == "~1,200 tokens"
