"""Whether a journal may hold something new: a look at its sizes, so that a quiet session costs next to nothing.

watch = Watch(spool.path)
if watch.has_news(): …        one `scandir`, a hundredth of what reading costs
"""

from __future__ import annotations

import os
import time
from pathlib import Path

RESTLESS_SECONDS = 0.2  # how long after the last byte records may still settle (`spool.SETTLE_NS`), with room


class Watch:
    """One session's segments as they were last seen."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seen: frozenset[tuple[str, int]] = frozenset()
        self._seen_at = self._looked_at = 0.0

    def has_news(self) -> bool:
        """Whether anything changed since, or shortly before, the last look. Raises `OSError` if the directory is gone.

        However long a busy machine lets pass between two looks, the one after a change is followed by another.
        """
        now, seen = time.monotonic(), self._sizes()
        if seen != self._seen:
            self._seen, self._seen_at = seen, now
        last, self._looked_at = self._looked_at, now
        return last - self._seen_at < RESTLESS_SECONDS

    def bytes_on_disk(self) -> int:
        return sum(size for _, size in self._sizes())

    def _sizes(self) -> frozenset[tuple[str, int]]:
        with os.scandir(self._directory) as entries:
            return frozenset((entry.name, entry.stat().st_size) for entry in entries if entry.name.endswith(".kmj"))
