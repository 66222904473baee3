"""The clock that all processes of a service share: the database's, carried on by this machine's monotonic one.

    shared_clock.now()      → the present moment, whatever this machine's own clock says
    shared_clock.agreed()   → the same, or `ClocksDisagree`: for whoever is about to delete what is old

A worker whose clock is days ahead would delete what is new and put off what is due; a web server's would refuse events
as being of the future. So whatever compares moments that several processes wrote down asks here. The database is asked
once in `ASK_EVERY_SECONDS` (a tenth of a millisecond), and a jump of the machine's clock in between changes nothing.
On SQLite, whose processes share one machine, it is that machine's clock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import connection

from core import clock

ASK_EVERY_SECONDS = 60.0
TOLERATED = timedelta(seconds=5)  # what machines that keep their clocks differ by, and much more
DELETES_WITHIN = timedelta(minutes=5)  # of each other; retention counts in days

_log = structlog.get_logger(__name__)
_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)  # Linux: goes on while the machine sleeps, as the monotonic does not


class ClocksDisagree(RuntimeError):
    """This machine's clock and the database's differ so much that one of them is wrong, and nobody knows which."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the database's clock said when `_steady` did say `at`."""

    moment: datetime
    at: float


class _Last:
    """The newest reading of this process; threads that read at the same time are all right."""

    reading: _Reading | None = None


def now() -> datetime:
    """The present moment, aware, in UTC. Raises database errors when the database has to be asked and is away."""
    if connection.vendor != "postgresql":
        return clock.now()
    reading = _Last.reading
    if reading is None or _steady() - reading.at >= ASK_EVERY_SECONDS:
        reading = _Last.reading = _read()
    return reading.moment + timedelta(seconds=_steady() - reading.at)


def offset() -> timedelta:
    """How far this machine's clock is ahead of the shared one; negative when it is behind."""
    return clock.now() - now()


def agreed() -> datetime:
    """The present moment, of which two clocks give evidence. Raises `ClocksDisagree`."""
    if abs(offset()) > DELETES_WITHIN:
        raise ClocksDisagree(
            f"this machine's clock is {offset().total_seconds():+.0f} s off the database's; nothing was deleted:"
            " set the clock that is wrong"
        )
    return now()


def _steady() -> float:
    """Seconds on a clock that nobody can set."""
    return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)


def _read() -> _Reading:
    begun = _steady()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        ((moment,),) = cursor.fetchall()
    reading = _Reading(moment, (begun + _steady()) / 2)
    ahead = clock.now() - moment
    if abs(ahead) > TOLERATED:
        _log.warning("clock_is_off", seconds=round(ahead.total_seconds()), hint="set the clock of this machine")
    return reading
