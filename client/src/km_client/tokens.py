"""How many tokens a text costs a model's prompt, near enough to compare tools: pure functions, without a vocabulary.

    estimate(b"The quick brown fox")  →  5

Vocabularies differ from model to model and weigh megabytes, so what is counted is what they are made of: words,
groups of three digits, runs of signs, breaks, bytes of other scripts. The weights were fitted to a public
vocabulary on real tool traffic; docs/client/tokens.md says how far off the estimate is, by kind of text.
"""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

import msgspec

Kind = Literal["arguments", "result", "definitions"]

_WORD = re.compile(rb"[A-Z]?[a-z]+|[A-Z]+")  # `readTextFile` is three: vocabularies break there too
_DIGITS = re.compile(rb"[0-9]{1,3}")
_SIGNS = re.compile(rb"[!-/:-@\[-`{-~]+")
_BREAK = re.compile(rb"[\r\n]+[ \t]*| {2,}|\t+")
_OTHER = re.compile(rb"[\x80-\xff]+")
# Tokens for each, by least squares; a word has more than one because random letters are words here too.
_WORD_TOKENS, _DIGITS_TOKENS, _SIGNS_TOKENS, _SIGN_TOKENS, _BREAK_TOKENS, _OTHER_BYTE_TOKENS = (
    1.31,
    1.08,
    0.38,
    0.20,
    0.26,
    0.2,
)
IMAGE_TOKENS = 1_500  # what providers charge for about a megapixel, whatever its bytes


class Use(NamedTuple):
    """What a message costs: `definitions` are read with every prompt, a `result` with each that follows it."""

    kind: Kind
    tokens: int


class _Params(msgspec.Struct):
    arguments: msgspec.Raw = msgspec.Raw(b"")


class _Result(msgspec.Struct):
    content: list[dict[str, Any]] | None = None
    tools: msgspec.Raw = msgspec.Raw(b"")
    type: Any = msgspec.field(name="resultType", default=None)
    task: Any = None
    task_id: Any = msgspec.field(name="taskId", default=None)
    of_task: msgspec.Raw = msgspec.field(name="result", default=msgspec.Raw(b""))

    @property
    def is_to_come(self) -> bool:
        """Whether it says only that there will be a result: of a task, or once the client has said more."""
        return self.type in ("task", "input_required") or (self.content is None and isinstance(self.task, dict))


class _Message(msgspec.Struct):
    params: msgspec.Raw = msgspec.Raw(b"")
    result: msgspec.Raw = msgspec.Raw(b"")


def estimate(content: bytes) -> int:
    """Tokens of `content`, UTF-8 text in a prompt. Takes time in proportion to its length."""
    runs = _SIGNS.findall(content)
    counted = (
        _WORD_TOKENS * len(_WORD.findall(content))
        + _DIGITS_TOKENS * len(_DIGITS.findall(content))
        + _SIGNS_TOKENS * len(runs)
        + _SIGN_TOKENS * sum(map(len, runs))
        + _BREAK_TOKENS * len(_BREAK.findall(content))
        + _OTHER_BYTE_TOKENS * sum(map(len, _OTHER.findall(content)))
    )
    return max(round(counted), 1 if content.strip() else 0)


def of_message(method: str | None, message: bytes) -> Use | None:
    """What one JSON-RPC message of a tool's call, its answer or a `tools/list` costs; `None` of any other."""
    try:
        said = msgspec.json.decode(message, type=_Message)
        if method == "tools/call" and bytes(said.params):
            params = msgspec.json.decode(said.params, type=_Params)
            return Use("arguments", estimate(bytes(params.arguments)))
        if method == "tools/call" and bytes(said.result):
            raw, result = said.result, msgspec.json.decode(said.result, type=_Result)
            if result.content is None and isinstance(result.task_id, str) and bytes(result.of_task):
                raw, result = result.of_task, msgspec.json.decode(result.of_task, type=_Result)
            return None if result.is_to_come else Use("result", _of_result(result, bytes(raw)))
        if method == "tools/list" and bytes(said.result):
            return Use("definitions", estimate(bytes(msgspec.json.decode(said.result, type=_Result).tools)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # no message of MCP costs nothing that is known
    return None


def _of_result(result: _Result, raw: bytes) -> int:
    """The texts as the model reads them, without JSON's escapes."""
    if result.content is None:
        return estimate(raw)
    return sum(_of_block(block) for block in result.content)


def _of_block(block: dict[str, Any]) -> int:
    if block.get("type") == "text":
        return estimate(str(block.get("text", "")).encode("utf-8", "replace"))
    if block.get("type") in ("image", "audio"):  # which may be of any type, also one that no set takes
        return IMAGE_TOKENS
    return estimate(msgspec.json.encode(block))


class Prices(NamedTuple):
    """Of a million tokens that a model reads (`input`) and that it writes; 0 where the person set none."""

    input_per_million: float
    output_per_million: float
    currency: str

    def cost(self, use: Use) -> float:
        """A model writes a call's arguments; it reads everything else. Of one reading."""
        price = self.output_per_million if use.kind == "arguments" else self.input_per_million
        return use.tokens * price / 1_000_000

    def words(self, use: Use) -> str:
        """`~1,234 tokens  0.0037 USD`; definitions say that they cost it with each prompt."""
        cost = self.cost(use)
        money = f"  {cost:.4f} {self.currency}" if cost else ""
        return f"~{use.tokens:,} tokens{money}{' in every prompt' if use.kind == 'definitions' else ''}"
