"""One round of the export: write down what is complete, send what is written down.

export(clock=now)      → Exported(calls=812, spans=812, series=9)
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings

from events.otlp.freezing import freeze, tidy
from events.otlp.models import Signal
from events.otlp.sending import Post, claimed, post, send

ROUND = timedelta(seconds=60)  # then the next task goes on: a worker has other things to do


class Exported(NamedTuple):
    """What a round did: `calls` were written down, `spans` and `series` arrived."""

    calls: int = 0
    spans: int = 0
    series: int = 0


def export(*, clock: Callable[[], datetime], send_by: Post = post) -> Exported:
    """Safe to run twice, at once, and to be killed. Without an endpoint there is nothing to do."""
    if not settings.OTLP_ENDPOINT:
        return Exported()
    until = clock() + ROUND
    calls = spans = series = 0
    with claimed(Signal.TRACES, now=clock()) as ours:
        if ours:
            tidy(now=clock())
            while clock() < until and (more := freeze(now=clock())):
                calls += more
            spans = send(Signal.TRACES, send_by, clock=clock, until=until)
    with claimed(Signal.METRICS, now=clock()) as ours:
        if ours:
            series = send(Signal.METRICS, send_by, clock=clock, until=until)
    return Exported(calls, spans, series)
