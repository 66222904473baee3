"""How the service is: each dependency, looked at now, for whoever asks (`kmcloud.health_views`, the console, a worker).

    health()    → HealthAnswer("degraded", "0.1.0", {"database": Check("ok", "reads and writes"), "broker": …, …})

`status` is `ok`, `degraded` (events are kept, and stored later than usual) or `unavailable` (503: nothing can be kept).
Storing is proved by a write, at most one every `PROOF_SECONDS`, because a full disk still reads well.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import celery
import msgspec
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from km_protocol import __version__

from core import shared_clock
from events import logs, stores
from events.models import Heartbeat, QuarantinedEntry
from events.queries import inbox_depth
from events.sweeper import BEAT_SECONDS, WORKER, beat

WEB = "web"
PROOF_SECONDS = 10.0  # one small write, so that a probe every second costs nothing
WORKER_SILENT_SECONDS = 3 * BEAT_SECONDS  # two beats may be late behind a long transaction
SLOW_WRITE_SECONDS = 0.5  # one small commit; a disk that is well takes a fiftieth of it
INBOX_LATE_SECONDS = 60.0  # a sweep comes every two seconds; a minute means it does not keep up
BROKER_TIMEOUT_SECONDS = 1

OK, DEGRADED, UNAVAILABLE = "ok", "degraded", "unavailable"


class Check(msgspec.Struct, omit_defaults=True):
    """One dependency. `detail` is for people."""

    status: str
    detail: str
    rows: int | None = None
    events: int | None = None
    age_seconds: float | None = None


class HealthAnswer(msgspec.Struct):
    """All of them; `status` is the worst."""

    status: str
    version: str
    checks: dict[str, Check]


class _Proof:
    """When this process last wrote to the database, and how long that took."""

    at = float("-inf")
    seconds = 0.0


def health() -> HealthAnswer:
    """Every dependency, looked at now."""
    database = check_database()
    checks = {"database": database, "broker": check_broker()}
    if settings.EVENT_LOG != logs.INBOX:
        checks["log"] = check_log()
    if settings.EVENT_STORE != stores.DATABASE:
        checks["store"] = check_store()
    if database.status != UNAVAILABLE:
        checks |= {name: looked_up(check) for name, check in _STORED.items()}
    worst = max((check.status for check in checks.values()), key=(OK, DEGRADED, UNAVAILABLE).index)
    return HealthAnswer(worst, __version__, checks)


def check_database() -> Check:
    """Whether an event could be stored now."""
    try:
        begun = time.monotonic()
        if begun - _Proof.at > PROOF_SECONDS:
            beat(WEB, now=shared_clock.now())
            _Proof.at = time.monotonic()
            _Proof.seconds = _Proof.at - begun
        Heartbeat.objects.filter(name=WEB).exists()
    except (DatabaseError, InterfaceError) as error:
        _Proof.at = float("-inf")
        return Check(UNAVAILABLE, f"nothing can be stored: {type(error).__name__}")
    if _Proof.seconds > SLOW_WRITE_SECONDS:
        return Check(DEGRADED, f"writes take {_Proof.seconds:.1f} s: look at the database's disk and locks")
    return Check(OK, "reads and writes")


def check_broker() -> Check:
    """Whether workers can be woken. Without it they look by themselves every few seconds."""
    try:
        with celery.current_app.connection_for_write(connect_timeout=BROKER_TIMEOUT_SECONDS) as connection:
            connection.ensure_connection(max_retries=1, timeout=BROKER_TIMEOUT_SECONDS)
    except Exception as error:  # noqa: BLE001 - each broker's library raises its own
        return Check(DEGRADED, f"events are stored some seconds later: {type(error).__name__}")
    return Check(OK, "reachable")


def check_log() -> Check:
    """Whether requests are taken over, where that is not the database's part."""
    waiting = logs.current().waiting()
    if waiting is None:
        return Check(UNAVAILABLE, "nothing can be taken over: the event log does not answer")
    return Check(OK, "answers", rows=waiting)


def check_store() -> Check:
    """Whether events can be stored and read, where that is not the database's part. Accepting them needs no store."""
    if not stores.current().answers():
        return Check(DEGRADED, "events wait until the event store answers; pages that show them do not")
    return Check(OK, "answers")


def _check_worker() -> Check:
    last = Heartbeat.objects.filter(name=WORKER).values_list("at", flat=True).first()
    if last is None:
        return Check(DEGRADED, "no worker has ever run: events wait in the inbox")
    age = max(0.0, (shared_clock.now() - last).total_seconds())
    if age > WORKER_SILENT_SECONDS:
        return Check(DEGRADED, "no worker runs: events wait in the inbox", age_seconds=age)
    return Check(OK, "runs", age_seconds=age)


def _check_inbox() -> Check:
    depth = inbox_depth()
    age = 0.0 if depth.oldest_at is None else max(0.0, (shared_clock.now() - depth.oldest_at).total_seconds())
    late = age > INBOX_LATE_SECONDS
    detail = "events wait longer than they should" if late else "keeps up"
    return Check(DEGRADED if late else OK, detail, rows=depth.requests, events=depth.events, age_seconds=age)


def _check_quarantine() -> Check:
    rows = QuarantinedEntry.objects.count()
    if rows:
        return Check(DEGRADED, "requests are set aside: see the admin console", rows=rows)
    return Check(OK, "empty", rows=0)


def _check_clock() -> Check:
    """This machine's clock: events do not need it, but tokens, leases and signatures made here are wrong by as much."""
    ahead = shared_clock.offset()
    if abs(ahead) > shared_clock.TOLERATED:
        return Check(DEGRADED, f"this machine's clock is {ahead.total_seconds():+.0f} s off the database's: set it")
    return Check(OK, "agrees with the database's")


def looked_up(check: Callable[[], Check]) -> Check:
    """What `check` says, where the database lets it."""
    try:
        return check()
    except (DatabaseError, InterfaceError) as error:
        return Check(UNAVAILABLE, type(error).__name__)


_STORED = {"worker": _check_worker, "inbox": _check_inbox, "quarantine": _check_quarantine, "clock": _check_clock}
