"""Progress on stderr, for what takes longer than a second, where somebody looks.

with Bars() as bars:
    provision(link, wanted, now=now, watcher=bars)      slow-tools ━━━━━━━━━━━━━ 1.9/3.1 MB
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

AFTER_SECONDS = 1.0


class Waiting:
    """What is waited for, a line each time that it changes."""

    def __init__(self) -> None:
        self._told = ""

    def tell(self, text: str) -> None:
        if text != self._told and sys.stderr.isatty():
            sys.stderr.write(f"{text}\n")
        self._told = text


class Bars:
    """One line for each download. `rich` is loaded when a second has passed, and never without a terminal."""

    def __init__(self, *, after_seconds: float = AFTER_SECONDS) -> None:
        self._show_at = time.monotonic() + after_seconds
        self._name, self._size, self._done = "", 0, 0
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Bars:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress:
            self._progress.stop()

    def begin(self, name: str, size: int) -> None:
        self._name, self._size, self._done, self._task = name, size, 0, None

    def more(self, count: int) -> None:
        self._done += count
        if time.monotonic() >= self._show_at and sys.stderr.isatty():
            self._draw()

    def _draw(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - a tenth of a second, which most installations do not need
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn  # noqa: PLC0415

        if self._progress is None:
            columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
            self._progress = Progress(*columns, console=Console(file=sys.stderr))
            self._progress.start()
        if self._task is None:
            self._task = self._progress.add_task(self._name, total=self._size)
        self._progress.update(self._task, completed=self._done)
