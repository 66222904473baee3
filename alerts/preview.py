"""What a rule would have done: the same measuring and deciding as the evaluator's, over the day that is past.

    preview(customer, watch, at=moment)   → Preview(since=yesterday, episodes=[Episode(opened_at=…, value=12.5), …])

A quota's day is over only once, so that kind looks at the last week. Of a customer with more events than `MAX_COUNTED`
in a day, the newest are looked at, and `since` says from when on.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from alerts import definition_changes, evaluation
from alerts.evaluation import Episode, Reading, Watch, replay
from alerts.facts import Facts, floor, hours
from alerts.kinds import LONGEST_BY_MINUTE
from alerts.models import Kind
from customers.models import Customer
from customers.queries import entitlement_of
from events import stores
from events.histogram import Histogram
from events.models import DailyUsage
from events.rows import Measure

DAY, QUOTA_DAYS = timedelta(days=1), 7
MAX_COUNTED = 20_000  # somebody waits for the page
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Preview:
    """The incidents there would have been since `since`."""

    since: datetime
    episodes: list[Episode]


def preview(customer: Customer, watch: Watch, *, at: datetime) -> Preview:
    """What `watch` would have done up to `at`."""
    begin = at - DAY
    match watch.kind:
        case Kind.QUOTA:
            return _days(customer, watch, at)
        case Kind.DEFINITION:
            changes = definition_changes.since(customer.pk, begin - watch.window, also_accepted=True)
            moments = [each.at for each in changes if watch.sees(each.server, watch.method, each.tool)]
            return Preview(begin, list(replay(watch, lambda t: _count(moments, watch, t), since=begin, until=at)))
        case Kind.SILENCE:
            return _silence(customer, watch, begin, at)
        case _:
            return _windows(customer, watch, begin, at)


def _windows(customer: Customer, watch: Watch, begin: datetime, at: datetime) -> Preview:
    by_minute = watch.window <= LONGEST_BY_MINUTE
    if by_minute:
        rows, begin = _minutes(customer, begin, at, timed=watch.kind == Kind.LATENCY)
    else:
        rows = hours(customer.pk, since=begin - watch.window, until=at)
    steps = _summed(watch, rows)
    moments, grain = [row.at for row in steps], _MINUTE if by_minute else 60 * _MINUTE
    everything = replace(watch, server="", method="", tool="")
    measure = evaluation.error_rate if watch.kind == Kind.ERRORS else evaluation.latency

    def read(moment: datetime) -> Reading:
        first = bisect_left(moments, floor(moment - watch.window, grain))
        return measure(everything, steps[first : bisect_right(moments, moment)])

    return Preview(begin, list(replay(watch, read, since=begin, until=at)))


def _silence(customer: Customer, watch: Watch, begin: datetime, at: datetime) -> Preview:
    before = Facts(customer, begin, [watch], used=0).heard_at(watch)
    rows, counted_since = _minutes(customer, begin, at, timed=False)
    heard = sorted({row.at for row in rows if watch.sees(row.server, row.method, row.tool)})

    def read(moment: datetime) -> Reading:
        last = bisect_right(heard, moment)
        return evaluation.silence(watch, heard[last - 1] + _MINUTE if last else before, at=moment)

    return Preview(counted_since, list(replay(watch, read, since=counted_since, until=at)))


def _days(customer: Customer, watch: Watch, at: datetime) -> Preview:
    limit = entitlement_of(customer, at=at).events_per_day
    first = at.astimezone(UTC).date() - timedelta(days=QUOTA_DAYS - 1)
    rows = DailyUsage.objects.filter(customer_id=customer.pk, day__gte=first).order_by("day")
    episodes = []
    for day, used in rows.values_list("day", "accepted"):
        reading = evaluation.quota(used, limit)
        if evaluation.holds(watch, reading):
            episodes.append(Episode(datetime(day.year, day.month, day.day, tzinfo=UTC), reading.value or 0.0))
    return Preview(datetime(first.year, first.month, first.day, tzinfo=UTC), episodes)


def _minutes(customer: Customer, begin: datetime, at: datetime, *, timed: bool) -> tuple[list[Measure], datetime]:
    """The minutes from `begin` on, and from when on they are all."""
    since = floor(begin, _MINUTE)
    rows = stores.current().minutes(customer.pk, since=since, until=at, most=MAX_COUNTED, timed=timed)
    if sum(row.events for row in rows) < MAX_COUNTED:
        return rows, begin
    return rows, min(row.at for row in rows)


def _summed(watch: Watch, rows: Iterable[Measure]) -> list[Measure]:
    """One row for each moment, of what the watch sees."""
    requests, errors = Counter[datetime](), Counter[datetime]()
    durations: defaultdict[datetime, Histogram] = defaultdict(Histogram)
    for row in rows:
        if watch.sees(row.server, row.method, row.tool):
            requests[row.at] += row.requests
            errors[row.at] += row.errors
            durations[row.at].merge(row.histogram)
    return [
        Measure(at, "", "", "", 0, requests[at], errors[at], 0, merged.encode())
        for at, merged in sorted(durations.items(), key=lambda item: item[0])
    ]


def _count(moments: Sequence[datetime], watch: Watch, at: datetime) -> Reading:
    return Reading(float(bisect_right(moments, at) - bisect_left(moments, at - watch.window)))
