"""Whether tools are held is what the file says; where nobody can read what it says, they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from km_client.pinning import choice


@pytest.fixture
def file(machine: Path) -> Path:
    (machine / "config").mkdir()
    return machine / "config" / "config.toml"


@pytest.mark.parametrize(
    ("content", "holds", "says"),
    [
        ("", False, False),
        ('[tools]\non_change = "report"\n', False, False),
        ('[tools]\non_change = "hold"\n', True, False),
        ('\ufeff[tools]\non_change = "report"\n', False, False),
        ('[tools]\non_change = "hodl"\n', True, True),
        ('tools = "on_change"\n', True, True),
        ("on_change = [", True, True),
    ],
)
def test_a_slip_of_the_pen_holds_and_says_so(file: Path, content: str, holds: bool, says: bool) -> None:
    file.write_text(content)
    said: list[str] = []
    assert (choice.holds(said.append), bool(said)) == (holds, says)
    assert all(str(file) in line for line in said)


def test_without_a_file_nothing_is_held_and_one_that_cannot_be_read_is_named(file: Path) -> None:
    said: list[str] = []
    assert not choice.holds(said.append) and not said
    file.mkdir()
    assert choice.holds(said.append)
    assert str(file) in said[0]
