"""What changed is told line by line where that ends soon, and is said to be too long where an author made it so."""

from __future__ import annotations

import difflib
import inspect
import time

import pytest

from customers.models import Customer
from plugins_registry import difference_rows, differences
from plugins_registry.differences import FileChange
from plugins_registry.line_differences import Budget, TooCostlyError, unified
from tests.plugins_registry.registry import archive, submitted

ENOUGH_SECONDS = 30.0  # some 3 on an idle machine; without a bound it is minutes


def hostile(count: int, kinds: int) -> tuple[str, str]:
    """Two texts of `count` lines in which a match is never longer than a line, and every line has many equals."""
    before = [f"{number % kinds}" for number in range(count)]
    after = [line for number in range(count // 2) for line in (f"{number % kinds}", f"new {number}")]
    return "\n".join(before), "\n".join(after)


def between(owner: Customer, old: dict[str, bytes], new: dict[str, bytes]) -> dict[str, FileChange]:
    before = submitted(owner, archive(old))
    after = submitted(owner, archive(new, version="2.0.0"))
    return {change.file: change for change in differences.between(before.source, after.source)}


def test_a_comparison_is_the_standard_librarys() -> None:
    before = inspect.getsource(difflib).split("\n")
    after = [f"{line} # changed" if number % 60 == 7 else line for number, line in enumerate(before)]
    after[100:130] = []
    for old, new in ((before, after), (before, before), ([], after), (before, []), (["a"], ["b"])):
        expected = list(difflib.unified_diff(old, new, "a/x", "b/x", lineterm=""))
        assert unified(old, new, "a/x", "b/x", Budget()) == expected


def test_what_a_comparison_costs_is_known_before_it_is_made() -> None:
    old, new = (text.split("\n") for text in hostile(2_000, 200))
    with pytest.raises(TooCostlyError):
        unified(old, new, "a", "b", Budget())
    assert unified(["a", "b"], ["a", "c"], "a", "b", Budget(steps=100))
    with pytest.raises(TooCostlyError):
        unified(["a", "b"], ["a", "c"], "a", "b", Budget(steps=1))


@pytest.mark.usefixtures("own_storage")
def test_a_source_made_to_be_compared_for_ever_is_told_of_within_seconds(acme: Customer) -> None:
    old, new = hostile(2_000, 200)
    names = [f"hostile_{number:02}.txt" for number in range(60)]
    before = {name: f"{name}\n{old[: -len(name)]}".encode() for name in names}
    after = {name: f"{name}\n{new[: -len(name)]}".encode() for name in names}
    started = time.monotonic()
    found = between(acme, before | {"zz.py": b"a = 1\n"}, after | {"zz.py": b"a = 2\n"})
    assert time.monotonic() - started < ENOUGH_SECONDS
    assert not any(found[name].shown for name in names)
    assert all("too long to compare line by line" in found[name].note for name in names)


@pytest.mark.usefixtures("own_storage")
def test_a_file_too_long_to_compare_is_counted_and_named_by_its_digests_on_the_page(acme: Customer) -> None:
    old, new = hostile(20_000, 700)
    before = {"long.txt": old.encode(), "zz.py": b"a = 1\n"}
    found = between(acme, before, {"long.txt": new.encode(), "zz.py": b"a = 2\n"})
    (row,) = [each for each in difference_rows.shown(list(found.values())).changes if each.file == "long.txt"]
    assert "too long to compare line by line; 20,000 → 20,000 lines, SHA-256 " in row.note
    assert " → " in row.note.partition("SHA-256 ")[2] and not row.rows
    assert "+a = 2" in found["zz.py"].diff, "the others are compared"


@pytest.mark.usefixtures("own_storage")
def test_a_long_file_that_is_new_needs_no_comparison(acme: Customer) -> None:
    found = between(acme, {}, {"long.txt": b"line\n" * 5_000})
    assert (found["long.txt"].kind, found["long.txt"].added, found["long.txt"].shown) == ("added", 5_001, True)
