"""Two texts compared line by line within a budget, since who wrote them may want the comparison never to end.

    unified(before, after, "a/main.py", "b/main.py", Budget())     ["--- a/main.py", "+++ b/main.py", …]

The standard library's matcher takes time that grows with the cube of the lines in the worst case: a file that was made
for it takes minutes, and a source holds thousands of files. What a search will cost is known before it begins: the
pairs of equal lines that it will look at. Each search is paid from the budget, so the time is bounded whatever the
lines are, and what is compared is the same on every machine.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from itertools import accumulate

MAX_STEPS = 10_000_000  # of one page; a step is a line, or a pair of equal ones, looked at: some 0.2 µs
MAX_FILE_STEPS = 5_000_000
_CONTEXT_LINES = 3


class TooCostlyError(Exception):
    """The comparison would take longer than anybody waits for it."""


class Budget:
    """What may still be spent on a page; no file spends more than its part."""

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self._left = steps
        self._file_left = 0

    def begin_file(self) -> None:
        self._file_left = min(self._left, MAX_FILE_STEPS)

    def spend(self, steps: int) -> None:
        """Raises `TooCostlyError`, and spends nothing, when there is not as much."""
        if steps > self._file_left:
            raise TooCostlyError
        self._left -= steps
        self._file_left -= steps


class _PaidMatcher(difflib.SequenceMatcher[str]):
    """Pays for each search before it makes it."""

    def __init__(self, before: Sequence[str], after: Sequence[str], budget: Budget) -> None:
        super().__init__(None, before, after)
        self._budget, self._lines = budget, len(before)
        equals: dict[str, list[int]] = vars(self)["b2j"]  # documented, and not in the type stubs
        pairs = (1 + len(equals.get(line, ())) for line in before)
        self._before_line = list(accumulate(pairs, initial=0))

    def find_longest_match(
        self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None
    ) -> difflib.Match:
        end = self._lines if ahi is None else ahi
        self._budget.spend(self._before_line[end] - self._before_line[alo])
        return super().find_longest_match(alo, ahi, blo, bhi)


def unified(before: list[str], after: list[str], old: str, new: str, budget: Budget) -> list[str]:
    """As `difflib.unified_diff`; empty when nothing differs. Raises `TooCostlyError`."""
    budget.begin_file()
    groups = list(_PaidMatcher(before, after, budget).get_grouped_opcodes(_CONTEXT_LINES))
    lines = [f"--- {old}", f"+++ {new}"] if groups else []
    for group in groups:
        first, last = group[0], group[-1]
        lines.append(f"@@ -{_range(first[1], last[2])} +{_range(first[3], last[4])} @@")
        for tag, i, i_end, j, j_end in group:
            lines += _rows(tag, before[i:i_end], after[j:j_end])
    return lines


def _rows(tag: str, before: list[str], after: list[str]) -> Iterator[str]:
    if tag == "equal":
        yield from (f" {line}" for line in before)
        return
    yield from (f"-{line}" for line in before)
    yield from (f"+{line}" for line in after)


def _range(start: int, stop: int) -> str:
    """As `diff -u` writes it: an empty range begins at the line before it."""
    length = stop - start
    if length == 1:
        return f"{start + 1}"
    return f"{start + 1 if length else start},{length}"
