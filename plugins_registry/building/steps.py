"""What was done in which order, when, for how long, and whether it went well: what a build's row and its author see.

    steps = Steps(clock)
    with steps.step("compilation"): …      {"name": "compilation", "started_at": "2026-11-22T20:03:35Z",
                                            "seconds": 41.207, "ok": true}

A step of a name that is there already replaces it: a build that is run again tells of its last run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TypedDict

from km_protocol.kmpkg.statements import moment

Clock = Callable[[], datetime]


class Step(TypedDict):
    """`started_at` in UTC."""

    name: str
    started_at: str
    seconds: float
    ok: bool


class Steps:
    """`rows` is what is stored; `on_step` is called with each name before it begins."""

    def __init__(self, clock: Clock, rows: list[Step] | None = None, on_step: Callable[[str], object] | None = None):
        self._clock = clock
        self._on_step = on_step
        self.rows: list[Step] = list(rows or [])

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """An exception passes through; the step is then not `ok`."""
        if self._on_step is not None:
            self._on_step(name)
        row = Step(name=name, started_at=moment(self._clock()), seconds=0.0, ok=False)
        self.rows = [each for each in self.rows if each["name"] != name] + [row]
        started = time.monotonic()
        try:
            yield
            row["ok"] = True
        finally:
            row["seconds"] = round(time.monotonic() - started, 4)
