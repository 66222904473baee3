"""What rules are measured by, read for one customer at one moment, each thing at most once and only when asked for.

    facts = Facts(customer, at=moment, watches=watches, used=4711)
    facts.reading(watch)           → Reading(value=12.5, counted=840)

Windows of up to an hour are counted from the events, the newest `MAX_COUNTED` of them; longer ones from the hourly
rollups. So what a rule costs depends on its customer's own traffic alone, and a customer who sent nothing since
yesterday costs nothing but the question whether they did (`received`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from django.db.models import QuerySet

from alerts import definition_changes, evaluation
from alerts.definition_changes import Change
from alerts.evaluation import NOTHING, Reading, Watch
from alerts.kinds import LONGEST_BY_MINUTE
from alerts.models import Kind
from customers import usage
from customers.models import Customer
from customers.queries import entitlement_of
from events import queries, stores
from events.models import DailyUsage, HourlyRollup
from events.rows import Measure

MAX_COUNTED = 50_000  # events: 0.1 s of PostgreSQL, for the busiest customers alone
REMEMBERED = timedelta(days=31)  # a server that was silent for longer is not missed
_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
_COLUMNS = ("at", "server", "method", "tool", "events", "requests", "errors", "bytes", "histogram")


def received(customers: Collection[int], *, at: datetime) -> dict[int, int]:
    """Of `customers` those that sent anything yesterday or today, and what of it counts against today's quota.

    One query, by the day of receipt: events of long ago that arrive late count.
    """
    today = at.astimezone(UTC).date()
    days = DailyUsage.objects.filter(customer_id__in=customers, day__gte=today - timedelta(days=1), day__lte=today)
    used: dict[int, int] = {}
    for customer_id, day, accepted in days.values_list("customer_id", "day", "accepted"):
        used[customer_id] = used.get(customer_id, 0) + (accepted if day == today else 0)
    return used


@dataclass
class Facts:
    """Of one customer at `at`. `watches` are all that will be asked for; `used` is of today's quota."""

    customer: Customer
    at: datetime
    watches: Sequence[Watch]
    used: int

    def reading(self, watch: Watch) -> Reading:
        """What `watch` measures."""
        match watch.kind:
            case Kind.ERRORS:
                return evaluation.error_rate(watch, self._within(watch))
            case Kind.LATENCY:
                return evaluation.latency(watch, self._within(watch))
            case Kind.QUOTA:
                return evaluation.quota(self.used, self._quota)
            case Kind.DEFINITION:
                return Reading(float(len(self.changes(watch))))
            case _:
                return self._silence(watch)

    def changes(self, watch: Watch) -> list[Change]:
        """The changes of definitions in the watch's scope and window."""
        begin = self.at - watch.window
        return [each for each in self._changes if each.at >= begin and watch.sees(each.server, watch.method, each.tool)]

    def _within(self, watch: Watch) -> Iterable[Measure]:
        rows = self._minutes if watch.window <= LONGEST_BY_MINUTE else self._hours
        begin = floor(self.at - watch.window, _MINUTE if watch.window <= LONGEST_BY_MINUTE else _HOUR)
        return (row for row in rows if row.at >= begin)

    def _silence(self, watch: Watch) -> Reading:
        reading = evaluation.silence(watch, self.heard_at(watch), at=self.at)
        if not evaluation.holds(watch, reading):
            return reading
        return NOTHING if queries.inbox_depth(self.customer.pk).requests else reading  # it spoke; we were slow

    def heard_at(self, watch: Watch) -> datetime | None:
        """When the scope was last heard of, to the minute."""
        hour = _in_scope(self.customer.pk, watch, self.at).order_by("-at").values_list("at", flat=True).first()
        if hour is None:
            return None
        end = min(hour + _HOUR, self.at)
        rows = stores.current().minutes(self.customer.pk, since=hour, until=end, most=MAX_COUNTED, timed=False)
        heard = [row.at for row in rows if watch.sees(row.server, row.method, row.tool)]
        return min(max(heard) + _MINUTE, self.at) if heard else end

    @cached_property
    def _minutes(self) -> list[Measure]:
        since = floor(self.at - self._longest(by_minute=True), _MINUTE)
        until, timed = self.at + _MINUTE, any(watch.kind == Kind.LATENCY for watch in self.watches)
        return stores.current().minutes(self.customer.pk, since=since, until=until, most=MAX_COUNTED, timed=timed)

    @cached_property
    def _hours(self) -> list[Measure]:
        return hours(self.customer.pk, since=self.at - self._longest(by_minute=False), until=self.at)

    @cached_property
    def _changes(self) -> list[Change]:
        longest = max(watch.window for watch in self.watches if watch.kind == Kind.DEFINITION)
        return definition_changes.since(self.customer.pk, self.at - longest)

    @cached_property
    def _quota(self) -> int | None:
        return entitlement_of(self.customer, at=self.at).events_per_day if self.used else None

    def _longest(self, *, by_minute: bool) -> timedelta:
        """The longest window of those that are counted by the minute, or by the hour."""
        counted = (watch.window for watch in self.watches if watch.kind in (Kind.ERRORS, Kind.LATENCY))
        return max(window for window in counted if (window <= LONGEST_BY_MINUTE) is by_minute)


def hours(customer_id: int, *, since: datetime, until: datetime) -> list[Measure]:
    """The hourly rollups from the hour `since` lies in, up to `until`."""
    found = HourlyRollup.objects.filter(customer_id=customer_id, at__gte=floor(since, _HOUR), at__lte=until)
    return [Measure(*row) for row in found.values_list(*_COLUMNS)]


def floor(moment: datetime, step: timedelta) -> datetime:
    """The beginning of the minute or hour `moment` lies in."""
    return moment - (moment - datetime.min.replace(tzinfo=UTC)) % step


def used_today(customer: Customer, *, at: datetime) -> int:
    """What counts against today's quota."""
    return usage.events_today(customer.pk, at=at)


def _in_scope(customer_id: int, watch: Watch, at: datetime) -> QuerySet[HourlyRollup]:
    scope = {name: value for name in ("server", "method", "tool") if (value := getattr(watch, name))}
    return HourlyRollup.objects.filter(customer_id=customer_id, at__gte=at - REMEMBERED, at__lte=at, **scope)
