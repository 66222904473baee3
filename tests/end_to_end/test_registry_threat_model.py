"""The threat model's table of attacks is true: whatever test or subtest it names is there under that name."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security" / "threat-model.md").read_text(encoding="utf-8")
TESTS = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").rglob("test_*.py")))


def test_every_test_that_the_threat_model_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 30
    assert {name for name in named if not re.search(rf"^(?:async )?def {name}\(", TESTS, re.MULTILINE)} == set()


def test_the_attacks_of_the_story_and_those_of_the_table_are_the_same() -> None:
    story = (ROOT / "tests" / "end_to_end" / "test_registry.py").read_text(encoding="utf-8")
    tried = set(re.findall(r'subtests\.test\("(\w+)"\)', story))
    told = {name for words in re.findall(r"end to end ([^;|]+)", PAGE) for name in re.findall(r"`(\w+)`", words)}
    assert tried == told
