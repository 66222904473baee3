"""The calls of a session as rows with bars: when each began, how long it took, what overlaps. Idle time is folded.

      0.000  -->  initialize                12.1 ms  ##
      0.014  -->  tools/call git_log       120.4 ms    ##############
                  · idle 34.2 s ·
     34.271  <--  sampling/createMessage     8.0 ms                  #

`-->` is what the client asked. Pure; texts of strangers are made harmless here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from km_client.output import printable, size
from km_client.watching.calls import Call, failure_words

MAX_NAME = 40
MIN_BAR = 12  # narrower bars say nothing: then there are none
IDLE_SECONDS = 1.0
MAX_WORDS = 200
_FIXED = 9 + 2 + 3 + 2 + 2 + 10 + 2 + 10 + 2  # offset, arrow, duration, size and what stands between


def rows(calls: Sequence[Call], columns: int, *, fill: str = "█") -> Iterator[str]:
    """The lines, none wider than `columns` but for those below that a screen can show nothing in."""
    if not calls:
        return
    start = min(call.began for call in calls)
    end = max(call.ended or call.began for call in calls)
    names = max(len(_name(call)) for call in calls)
    name_width = max(10, min(names, MAX_NAME, columns - _FIXED - 2))
    scale = _Scale(calls, start, end, columns - _FIXED - name_width - 2)
    busy_until = start
    for call in sorted(calls, key=lambda call: call.began):
        if (idle := (call.began - busy_until).total_seconds()) > IDLE_SECONDS:
            yield f"{'':16}· idle {idle:.1f} s ·"
        busy_until = max(busy_until, call.ended or call.began)
        yield _row(call, start, name_width, scale.bar(call, fill))
        if call.is_error and call.answer:
            code, words = failure_words(call.answer)
            said = printable(" ".join(filter(None, (code, words))))[:MAX_WORDS]
            yield f"{'':16}ERROR {said}".rstrip()[: max(columns, 40)]


def _row(call: Call, start: datetime, name_width: int, bar: str) -> str:
    offset = (call.began - start).total_seconds()
    arrow = "-->" if call.from_client else "<--"
    name = _name(call)
    name = name if len(name) <= name_width else name[: name_width - 1] + "…"
    taken = f"{call.duration_ms:.1f} ms" if call.duration_ms is not None else ("" if call.answer else "no answer")
    note = "cancelled" if call.status == "cancelled" else ""
    received = size(call.answer.size or 0) if call.answer else ""
    return f"{offset:9.3f}  {arrow}  {name:{name_width}}  {taken:>10}  {received or note:>10}  {bar}".rstrip()


def _name(call: Call) -> str:
    return printable(call.name)


class _Scale:
    """Time to columns, with what is idle for long left out."""

    def __init__(self, calls: Sequence[Call], start: datetime, end: datetime, columns: int) -> None:
        self._start = start
        self._columns = columns
        self._folds: list[tuple[float, float]] = []
        busy = 0.0
        for begin, stop in sorted((self._at(call.began), self._at(call.ended or call.began)) for call in calls):
            if begin - busy > IDLE_SECONDS:
                self._folds.append((busy, begin))
            busy = max(busy, stop)
        self._total = max(self._folded((end - start).total_seconds()), 1e-6)

    def bar(self, call: Call, fill: str) -> str:
        if self._columns < MIN_BAR:
            return ""
        begin = round(self._folded(self._at(call.began)) / self._total * (self._columns - 1))
        stop = round(self._folded(self._at(call.ended or call.began)) / self._total * (self._columns - 1))
        return " " * begin + fill * max(1, stop - begin)

    def _at(self, moment: datetime) -> float:
        return (moment - self._start).total_seconds()

    def _folded(self, seconds: float) -> float:
        return seconds - sum(min(seconds, stop) - begin for begin, stop in self._folds if begin < seconds)
