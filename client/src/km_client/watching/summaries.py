"""The sums of sessions, for a list: one pass over the log for all that it has whole, and the journals that are left."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from km_client.agent.redaction import Redactor
from km_client.errors import ClientError
from km_client.watching import sources
from km_client.watching.sessions import Recorded
from km_client.watching.tally import Tally


class Summary(NamedTuple):
    """`problem` says what of it could not be read; the sums are then of the rest."""

    session: Recorded
    tally: Tally
    problem: str

    @property
    def server(self) -> str:
        return self.tally.server or self.session.server

    @property
    def began(self) -> datetime:
        return self.tally.first or self.session.first


def summaries(sessions: Iterable[Recorded], wash: Redactor, *, with_tokens: bool = False) -> list[Summary]:
    """In the same order. A session that cannot be read is in the list with its problem."""
    chosen = list(sessions)
    tallies = {session.session_id: Tally(with_tokens=with_tokens) for session in chosen}
    whole = {session.session_id for session in chosen if not session.runs}
    for line in sources.logged() if whole else ():
        event = sources.event_of(line)
        if event and event.session_id in whole:
            tallies[event.session_id].take(event)
    problems = {session.session_id: _tally(session, tallies[session.session_id], wash) for session in chosen}
    return [Summary(session, tallies[session.session_id], problems[session.session_id]) for session in chosen]


def as_json(summary: Summary) -> dict[str, Any]:
    """What `km-client sessions --json` says of one; times are ISO 8601, durations milliseconds, sizes bytes.

    `tokens` is `None` where they were not estimated.
    """
    session, tally = summary.session, summary.tally
    return {
        "id": session.session_id,
        "began": summary.began.isoformat(),
        "last": (tally.last or session.last).isoformat(),
        "server": summary.server,
        "server_version": tally.server_version,
        "client": tally.client,
        "client_version": tally.client_version,
        "state": session.state,
        "events": tally.events,
        "calls": tally.calls,
        "errors": tally.errors,
        "p50_ms": tally.percentile(0.5),
        "p95_ms": tally.percentile(0.95),
        "tokens": tally.tokens,
        "bytes": tally.size,
        "gaps": tally.gaps,
        "problem": summary.problem,
    }


def _tally(session: Recorded, tally: Tally, wash: Redactor) -> str:
    if not session.runs:
        return ""
    try:
        for event in session.events(wash, whole=False):
            tally.take(event)
    except ClientError as error:
        return error.message
    return session.problem
