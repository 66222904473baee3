"""What a command prints fits its terminal, and a stranger's text does nothing there."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest
from km_client import output

from tests.client.commands.reported import NASTY, is_harmless


def test_what_a_terminal_would_act_on_is_escaped_and_all_else_kept() -> None:
    assert output.printable("naïve 日本 `a b`") == "naïve 日本 `a b`"
    assert output.printable("a\x1b[31m\x9b\u202e\n\udcff") == "a\\x1b[31m\\x9b\\u202e\\n\\udcff"


def test_json_for_scripts_is_harmless_on_a_terminal_and_means_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    value = {f"key{NASTY}": [NASTY, "naïve 日本 \U0001f600", 1.5, None], "invisible": "\u200b\u2028\ufeff\U000e0041"}
    output.say_json(value)
    out = capsys.readouterr().out
    assert is_harmless(out) and "naïve 日本 \U0001f600" in out
    assert json.loads(out) == value


def test_warnings_pairs_and_tables_are_harmless_whatever_stands_in_them(capsys: pytest.CaptureFixture[str]) -> None:
    output.warn(NASTY, NASTY)
    output.pairs([("server", NASTY)])
    output.table(("name",), [(NASTY,)])
    printed = capsys.readouterr()
    assert is_harmless(printed.out + printed.err) and printed.err.count("\n") == 2


@pytest.mark.parametrize(("count", "words"), [(0, "0 events"), (1, "1 event"), (1200, "1,200 events")])
def test_one_is_one(count: int, words: str) -> None:
    assert output.many(count, "event") == words
    assert output.many(count, "event", " of 5") == f"{count:,} of 5 events"


def on_terminal(program: str, columns: int) -> str:
    """What `program` prints on a terminal that is so wide."""
    control, terminal = pty.openpty()
    environment = os.environ | {"COLUMNS": str(columns)}
    command = [sys.executable, "-c", f"from km_client import output\n{program}"]
    try:
        subprocess.run(command, stdout=terminal, env=environment, check=True)
        return os.read(control, 4096).decode().replace("\r\n", "\n")
    finally:
        os.close(control)
        os.close(terminal)


def test_a_long_line_goes_on_below_its_beginning_on_a_terminal() -> None:
    said = on_terminal('output.pairs([("lease", "tier Pro (active), refreshed 3 min ago"), ("key", "none")])', 30)
    assert said.splitlines() == [
        "lease  tier Pro (active),",
        "       refreshed 3 min ago",
        "key    none",
    ]


def test_a_word_longer_than_the_terminal_is_left_whole() -> None:
    text = "path  " + "x" * 100 + " and more"
    assert on_terminal(f"output.wrapped({text!r}, indent=6)", 40) == f"{text}\n"


def test_what_is_read_by_a_program_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.wrapped("word " * 100, indent=4)
    assert len(capsys.readouterr().out.splitlines()) == 1
