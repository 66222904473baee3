"""The work grows with the length and no faster, counted in steps: no clock is asked."""

# ruff: noqa: E501 - a case a line, to be read as a table
from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import cast

import pytest
from km_client.agent import redaction
from km_client.agent.redaction import RedactionRules, Redactor
from km_client.redaction.pattern import SecretPattern
from km_client.redaction.search import WINDOW_BYTES, MarkerSearch
from km_client.redaction.table import PATTERNS

MEGABYTE = 2**20
BIG = 16 * MEGABYTE


class _Counted:
    """An expression that counts how often it looks, and the bytes it covers."""

    def __init__(self, expression: re.Pattern[bytes], steps: list[int]) -> None:
        self._expression, self._steps = expression, steps

    def match(self, content: bytes, at: int) -> re.Match[bytes] | None:
        match = self._expression.match(content, at)
        self._steps[0] += 1 + (match.end() - at if match else 0)
        return match


def _counting(pattern: SecretPattern, steps: list[int]) -> SecretPattern:
    return pattern._replace(expression=cast("re.Pattern[bytes]", _Counted(pattern.expression, steps)))


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    counted = [0]
    patterns = [_counting(pattern, counted) for pattern in PATTERNS]
    monkeypatch.setattr(redaction, "PATTERNS", tuple(patterns))
    yield counted


@pytest.mark.parametrize(
    "unit",
    [b"token=", b'"token":"', b'\\"password\\":\\"', b"password: ", b"://", b"://a:b", b"eyJ", b"sk-a1", b"-----BEGIN PRIVATE KEY-----\n",
     b"bearer ", b"cookie:a=b", b"machine a login b ", b"AKIA", b"authorization:", b"discord M", b"basic ", b"key-", b"pat", b"-u a:"],
    ids=lambda unit: unit.decode(),
)  # fmt: skip
def test_twice_the_markers_are_twice_the_steps(unit: bytes, steps: list[int]) -> None:
    redactor = Redactor(RedactionRules())
    taken = []
    for count in (1_000, 2_000, 4_000):
        steps[0] = 0
        redactor.redact(unit * count)
        taken.append(steps[0])
    assert taken[1] <= 2.2 * taken[0] + 1_000 and taken[2] <= 2.2 * taken[1] + 1_000


@pytest.mark.parametrize("unit", [b"a", b"=", b'"', b"\\", b"Zm9vYmFy", b" ", b"\\/", b"-", b"."])
def test_sixteen_megabytes_of_one_thing_take_one_look_at_most_where_a_marker_is(unit: bytes, steps: list[int]) -> None:
    redactor = Redactor(RedactionRules())
    size = BIG if unit != b"\\/" else BIG // 8  # each needless escape is a place to remember
    content = unit * (size // len(unit))
    assert redactor.redact(content).content is content
    assert steps[0] <= len(content) // 4


def test_markers_are_found_across_windows_once_and_whatever_their_case() -> None:
    search = MarkerSearch([b"token", b"oken="])
    for place in range(WINDOW_BYTES - 8, WINDOW_BYTES + 3):
        content = b"." * place + b"ToKeN=" + b"." * 20
        assert sorted(search.find(content)) == [(0, place), (1, place + 1)]


@pytest.mark.parametrize(
    "hostile",
    ["b'password' + b'\\\\' * N", "b'api_key' + b'\\\\n' * N + b'x'", "b'machine' + b'\\\\n' * N",
     "b'machine a login ' + b'\\\\n' * N", "b'machine ' * N", "b'machine' + b' login' * N", "b'token\\\\' + b'\\\\r' * N",
     "b'authorization' + b' ' * N", "b'bearer' + b'+' * N", "b'-----begin private key-----' + b'\\\\' * N"],
)  # fmt: skip
def test_within_an_expression_the_work_does_not_grow_faster_either(hostile: str) -> None:
    """What an expression tries again by itself no step tells: quadratic work on a megabyte would take hours."""
    program = (
        "from km_client.agent.redaction import RedactionRules, Redactor\n"
        f"N = {MEGABYTE}\ncontent = {hostile}\nprint(Redactor(RedactionRules()).redact(content).counts)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, stdout=subprocess.DEVNULL)
