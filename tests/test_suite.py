"""How the suite runs itself: its order loses no test and begins with the long ones, and what is shared is made once."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests import order, prepared

ROOT = Path(__file__).resolve().parent.parent


def items_of(*counted: tuple[str, int]) -> list[pytest.Item]:
    ids = [f"{begins}::test_{number}" for begins, count in counted for number in range(count)]
    return [cast(pytest.Item, SimpleNamespace(nodeid=each)) for each in ids]


def ids(items: list[pytest.Item]) -> list[str]:
    return [item.nodeid for item in items]


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 50])
def test_no_order_loses_a_test_or_repeats_one(workers: int, count: int) -> None:
    given = items_of(("tests/core/test_ids.py", count), ("tests/browser/test_pages.py", 5), ("tests/sdk/test_go.py", 9))
    assert sorted(ids(order.longest_first(given, workers))) == sorted(ids(given))


def test_each_workers_share_begins_with_long_tests_and_ends_with_short_ones() -> None:
    long = [("tests/browser/test_pages.py", 5), ("tests/end_to_end/test_registry.py", 3)]
    made = ids(order.longest_first(items_of(("tests/core/test_ids.py", 40), *long), 2))
    first, second = made[:24], made[24:]
    assert all(each.startswith("tests/browser/") for each in first[:5])
    assert all(each.startswith("tests/end_to_end/") for each in second[:3])
    assert all(each.startswith("tests/core/") for each in first[5:] + second[3:])


def test_chance_decides_the_order_inside() -> None:
    given = items_of(("tests/core/test_ids.py", 5), ("tests/browser/test_pages.py", 5))[::-1]
    assert ids(order.longest_first(given, 1)) == ids(given)


def test_what_is_said_to_be_long_is_there() -> None:
    gone = [begins for begins in order.LONG if not [*ROOT.glob(f"{begins}*")]]
    assert not gone


def test_of_many_who_ask_at_once_one_makes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared._Run, "directory", tmp_path)
    made: list[Path] = []

    def make(directory: Path) -> None:
        made.append(directory)
        (directory / "file").write_text("whole")

    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append((prepared.once("thing", make) / "file").read_text()))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found, len(made)) == (["whole"] * 8, 1)


def test_what_could_not_be_made_is_made_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared._Run, "directory", tmp_path)

    def half(directory: Path) -> None:
        (directory / "half").touch()
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        prepared.once("thing", half)
    whole: Any = prepared.once("thing", lambda directory: (directory / "whole").touch())
    assert [path.name for path in whole.iterdir()] == ["whole"]
