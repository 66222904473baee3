"""A session's time as bars: every exchange of a page on one axis, with the idle time folded out of it.

    axis = Axis.of(spans)          spans: when each exchange began and ended, in ms from the session's beginning
    axis.place(12.5)               → 40.0, per cent of the axis
    bars(rows)                     → the axis, and the rows with their drawings and the idle time folded before them

While nothing was under way for more than `FOLD_AFTER_MS`, the axis stands still: a fold is as wide as any other, and
its length is said in words. What remains, the busy time, is to scale, so a pause of ten hours leaves a call of a
millisecond its place; no bar is narrower than `LEAST_PX`. A request that is waited for is under way until now, one that
nobody answered is not.

A drawing is SVG whose lengths are per cent, stretched by its box without being distorted. It holds no word of
anybody's: numbers and classes alone. What it shows stands beside it as text.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from django.utils.safestring import SafeString

from dashboard.templatetags.units import offset
from dashboard.timeline import TimelineRow

FOLD_AFTER_MS = 2000.0  # a person notices a pause of that length; most of an agent's own thinking is longer
FOLD_WIDTH = 3.0  # per cent of the axis
FOLDS_WIDTH = 30.0  # of all of them together at most
END, END_IF_OPEN = 98.0, 92.0  # where the last moment lies: a bar that begins there is seen, an open one the more so
LEAST_PX = 3
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime.fromtimestamp(0, UTC)
_TONES = {"gap": "lost", "notice": "notice", "noise": "notice"}
_CROSS = '<svg x="{}%" y="8"><path class="cross" d="M4-4l8 8M12-4l-8 8"/></svg>'
_ARROW = '<svg x="100%" y="8"><path class="onward" d="M-4-5l6 5l-6 5"/></svg>'


@dataclass(frozen=True, slots=True)
class Span:
    """`end` is infinite while an answer is waited for; `is_open` says that none came."""

    begin: float
    end: float
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """From `begin` to `end`, in ms from the session's beginning, without `folds`: (begin, end) of each."""

    begin: float
    end: float
    folds: tuple[tuple[float, float], ...]
    width: float = END

    @classmethod
    def of(cls, spans: Iterable[Span]) -> Axis:
        """The axis on which all of `spans` have a place."""
        ordered = sorted(spans, key=lambda span: span.begin)
        folds, reached = [], ordered[0].begin if ordered else 0.0
        begin = end = reached
        for span in ordered:
            if span.begin - reached > FOLD_AFTER_MS:
                folds.append((reached, span.begin))
            reached = max(reached, span.end)
            end = max(end, span.begin if math.isinf(span.end) else span.end)
        return cls(begin, end, tuple(folds), END_IF_OPEN if any(span.is_open for span in ordered) else END)

    @property
    def folded_ms(self) -> float:
        return sum(end - begin for begin, end in self.folds)

    @property
    def busy_ms(self) -> float:
        return self.end - self.begin - self.folded_ms

    @property
    def ends(self) -> tuple[str, str]:
        """Where it begins and ends, in the words of the rows."""
        return _offset(self.begin), _offset(self.end)

    @property
    def fold_width(self) -> float:
        """Of each, in per cent."""
        return min(FOLD_WIDTH, FOLDS_WIDTH / len(self.folds)) if self.folds else 0.0

    @property
    def drawing(self) -> SafeString:
        """The folds, where they lie."""
        marks = (f'<rect class="fold" x="{self.place(begin):.2f}%" {self._fold_size}/>' for begin, _ in self.folds)
        return SafeString(f'<svg aria-hidden="true">{"".join(marks)}</svg>')

    @property
    def _fold_size(self) -> str:
        return f'width="{self.fold_width:.2f}%" height="100%"'

    def places(self, moments: Iterable[float]) -> list[float]:
        """Where each of `moments` lies, in per cent of the axis."""
        begins, before = [begin for begin, _ in self.folds], [0.0]
        for begin, end in self.folds:
            before.append(before[-1] + end - begin)
        folded = self.fold_width
        scale = (self.width - folded * len(begins)) / self.busy_ms if self.busy_ms > 0 else 0.0
        found = []
        for moment in moments:
            passed = bisect_right(begins, moment - 1e-9)
            at = max(moment, self.folds[passed - 1][1]) if passed else moment
            found.append((at - self.begin - before[passed]) * scale + folded * passed)
        return found

    def place(self, moment: float) -> float:
        """Where one moment lies."""
        return self.places([moment])[0]


def span(row: TimelineRow) -> Span:
    """When the exchange of `row` was under way."""
    begin = (row.exchange.first.timestamp - row.started_at) / _MILLISECOND
    if row.state == "waiting":
        return Span(begin, math.inf, is_open=True)
    if row.kind != "call":
        return Span(begin, begin)
    return Span(begin, begin + row.open_ms, is_open=row.state == "unanswered")


def bars(rows: Sequence[TimelineRow]) -> tuple[Axis, list[TimelineRow]]:
    """The axis of `rows`, and each of them with its drawing and the idle time folded before it."""
    spans = list(map(span, rows))
    axis = Axis.of(spans)
    begins = axis.places(each.begin for each in spans)
    ends = axis.places(each.begin if each.is_open else each.end for each in spans)
    idle = {end: end - begin for begin, end in axis.folds}
    drawn = []
    for row, each, begin, end in zip(rows, spans, begins, ends, strict=True):
        drawing = SafeString(f'<svg aria-hidden="true">{_shape(row, each, begin, end)}</svg>')
        drawn.append(replace(row, bar=drawing, idle_ms=idle.pop(each.begin, None)))
    return axis, drawn


def _offset(milliseconds: float) -> str:
    return offset(_EPOCH + milliseconds * _MILLISECOND, _EPOCH)


def _shape(row: TimelineRow, each: Span, begin: float, end: float) -> str:
    cross = _CROSS.format(f"{end:.2f}") if row.is_bad else ""
    tone = _TONES.get(row.kind) or ("back" if row.from_server else "forth")
    if row.kind != "call":
        return f'<rect class="tick {tone}" x="{begin:.2f}%" y="1" width="2" height="14"/>{cross}'
    place = f'class="{tone}" x="{begin:.2f}%" y="3" height="10" rx="1.5"'
    if each.is_open:
        return f'<rect {place} width="{100 - begin:.2f}%" fill-opacity=".35"/><rect {place} width="3"/>{_ARROW}{cross}'
    return f'<rect {place} width="{max(0.0, end - begin):.2f}%"/><rect {place} width="{LEAST_PX}"/>{cross}'
