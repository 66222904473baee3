"""The operators' table of faults is true: every test it names is there, and every fault that is tested is in it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`(test_\w+)`", PAGE))
TESTS = {path: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
FAULTS = ("faults", "database", "clocks")  # the files of a production service's faults
NO_FAULT = {"test_a_revoked_key_ends_in_every_process_within_seconds"}


def defined(text: str) -> set[str]:
    return set(re.findall(r"^def (test_\w+)\(", text, re.MULTILINE))


def test_every_test_that_the_table_of_faults_names_is_there() -> None:
    assert len(NAMED) > 20
    assert NAMED - set().union(*map(defined, TESTS.values())) == set()


def test_every_fault_that_is_tested_is_in_the_table() -> None:
    here = Path(__file__).parent
    tested = set().union(*(defined(TESTS[here / f"test_production_{name}.py"]) for name in FAULTS))
    assert tested - NO_FAULT - NAMED == set()
