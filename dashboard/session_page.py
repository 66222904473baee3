"""What the page of one session is made of: a batch of its exchanges on their axis, and what the batch adds up to.

    shown = read(customer.pk, session, after=None, at=moment)
    shown.rows, shown.axis, shown.figures.p95_ms

A session of any length is read in batches of `EXCHANGES_PER_PAGE`, by cursor. Each has an axis of its own, the busy
time of its exchanges: a call is as legible in the last of 100,000 as in a session of three. Percentiles and tools are
of the batch, exact; of the whole session where that is one batch (`is_all`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.urls import reverse

from core.paging import decode
from dashboard import timeline, waterfall
from dashboard.timeline import TimelineRow
from dashboard.waterfall import Axis
from events import queries
from events.rows import SessionRow

EXCHANGES_PER_PAGE = 100
MOST_TOOLS = 6  # named in the head; the rest are counted


@dataclass(frozen=True, slots=True)
class Figures:
    """Of `calls`, the client's requests that were answered. `tools`: (name, how often), the most used first."""

    calls: int
    p50_ms: float | None
    p95_ms: float | None
    tools: tuple[tuple[str, int], ...]
    more_tools: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Exchanges in order. `after` is the cursor it begins behind, `next` that of the batch after it, where there is
    one; `base` is the session's address."""

    rows: list[TimelineRow]
    axis: Axis
    figures: Figures
    after: str | None
    next: str | None
    base: str

    @property
    def id(self) -> str:
        """For its place on the page."""
        return str(self.rows[0].id) if self.rows else ""

    @property
    def place(self) -> str:
        """The cursor behind its last row."""
        return timeline.place(self.rows[-1].exchange) if self.rows else self.after or ""

    @property
    def is_all(self) -> bool:
        """Whether the session has no other exchanges."""
        return not (self.after or self.next)

    def behind(self, cursor: str) -> int:
        """How many of its rows lie before `cursor` or at it. Raises `InvalidCursor`."""
        reached = decode(cursor, timeline.PLACE)
        return sum((row.exchange.first.sequence, row.id) <= reached for row in self.rows)


def read(customer_id: int, session: SessionRow, *, after: str | None, at: datetime) -> Batch:
    """The batch behind the cursor `after`, as it stands at `at`. Raises `InvalidCursor`."""
    page = queries.session_exchanges(customer_id, session.session_id, after=after, limit=EXCHANGES_PER_PAGE)
    axis, rows = waterfall.bars(timeline.rows(page.rows, started_at=session.started_at, now=at))
    return Batch(rows, axis, figures(rows), after, page.next, address(session.session_id))


@dataclass(frozen=True, slots=True)
class News:
    """What a page that shows the beginning of `batch` does not show yet. `known` of its rows are on the page: those of
    `moved` have a new place on the axis, those of `answered`, some perhaps of batches before, were waited for."""

    batch: Batch
    known: int
    moved: list[TimelineRow]
    answered: list[TimelineRow]
    fresh: list[TimelineRow]


def news(
    customer_id: int,
    session: SessionRow,
    *,
    after: str | None,
    place: str | None,
    watched: Iterable[UUID],
    at: datetime,
) -> News:
    """What happened in the batch behind `after` since a page ended at the cursor `place`. Raises `InvalidCursor`.

    An answer to a request of an earlier batch comes without a bar: its axis is not read again.
    """
    batch = read(customer_id, session, after=after, at=at)
    known = batch.rows[: batch.behind(place)] if place else []
    wanted = set(watched)
    elsewhere = wanted - {row.id for row in known}
    found = queries.exchanges(customer_id, session.session_id, elsewhere) if elsewhere else []
    answered = [row for row in known if row.id in wanted and row.exchange.answers]
    ended = {row.id for row in answered}
    return News(
        batch=batch,
        known=len(known),
        moved=[row for row in known if row.id not in ended],
        answered=answered
        + timeline.rows([each for each in found if each.answers], started_at=session.started_at, now=at),
        fresh=batch.rows[len(known) :],
    )


def address(session_id: str) -> str:
    """Of a session's page: what the addresses of its exchanges begin with."""
    return reverse("dashboard:session", args=[session_id])


def figures(rows: Sequence[TimelineRow]) -> Figures:
    """How long the client's calls took, and which tools they used."""
    calls = [row for row in rows if row.kind == "call" and not row.from_server]
    taken = sorted(row.duration_ms for row in calls if row.duration_ms is not None and row.state == "done")
    tools = Counter(row.exchange.first.tool for row in calls if row.exchange.first.tool).most_common()
    return Figures(
        calls=len(taken),
        p50_ms=_percentile(taken, 0.5),
        p95_ms=_percentile(taken, 0.95),
        tools=tuple(tools[:MOST_TOOLS]),
        more_tools=len(tools[MOST_TOOLS:]),
    )


def _percentile(ascending: Sequence[float], share: float) -> float | None:
    """The nearest rank: a duration that was measured."""
    return ascending[max(0, math.ceil(share * len(ascending)) - 1)] if ascending else None
