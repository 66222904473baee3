"""Numbers and moments as people read them: one spelling for a size, a duration, a count and a time on every page.

    {{ 5_242_880|size }}     5.2 MB        {{ 1234567|count }}   1,234,567
    {{ 3.25|duration }}      3.3 ms        {{ 1234567|brief }}   1.23 M
    {{ 83_000|duration }}    1 min 23 s    {% moment session.started_at now %}   <time …>4 min ago</time>

Sizes are decimal (1 kB = 1,000 B), as disks and networks count. Relative times are made for the moment the page was
made; `dashboard.js` keeps them true with the same words while the page stays open.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from km_protocol import replay

register = template.Library()

ABSENT = "–"  # what stands where there is no number
MINUTE_MS = 60_000


@register.filter
def size(value: int | None) -> str:
    """Bytes with a unit and two to three digits: `91 B`, `4.2 kB`, `16.8 MB`."""
    if value is None:
        return ABSENT
    if value < 1000:
        return f"{value} B"
    power = next((power for power in (1, 2, 3) if value < 999.5 * 1000**power), 4)
    number = value / 1000**power
    unit = ("kB", "MB", "GB", "TB")[power - 1]
    return f"{number:.1f} {unit}" if number < 99.95 else f"{number:.0f} {unit}"


@register.filter
def duration(milliseconds: float | None) -> str:
    """A span of time in its own unit: `0.4 ms`, `312 ms`, `1.24 s`, `3 min 12 s`, `2 h 05 min`, `3 d 4 h`."""
    if milliseconds is None:
        return ABSENT
    if milliseconds < 9.95:
        return f"{milliseconds:.1f} ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    if milliseconds < MINUTE_MS - 500:
        seconds = milliseconds / 1000
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    return _long_duration(milliseconds)


def _long_duration(milliseconds: float) -> str:
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    hours, minutes_left = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min {seconds:02d} s"
    return f"{hours} h {minutes_left:02d} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"


@register.filter
def span(delta: timedelta | None) -> str:
    """`duration` of a `timedelta`."""
    return ABSENT if delta is None else duration(delta.total_seconds() * 1000)


@register.filter
def lasted(begin: datetime, end: datetime) -> str:
    """`span` of the time from one moment to another."""
    return span(end - begin)


@register.filter
def count(value: int | None) -> str:
    """A whole number with its thousands marked."""
    return ABSENT if value is None else f"{value:,}"


@register.filter
def brief(value: int | None) -> str:
    """A count with at most four digits, for a headline: `9,999`, `12.3 k`, `1.23 M`."""
    if value is None:
        return ABSENT
    if value < 10_000:
        return f"{value:,}"
    power = next((power for power in (1, 2) if value < 999.5 * 1000**power), 3)
    return f"{value / 1000**power:.3g} {('k', 'M', 'G')[power - 1]}"


@register.filter
def share(part: int, whole: int) -> str:
    """`part` of `whole` in per cent: `0 %`, `<0.1 %`, `2.5 %`, `40 %`."""
    if not whole or not part:
        return "0 %"
    percent = 100 * part / whole
    if percent < 0.1:
        return "<0.1 %"
    return f"{percent:.1f} %" if percent < 9.95 else f"{percent:.0f} %"


@register.filter
def offset(at: datetime, start: datetime) -> str:
    """How long after `start` something happened: `+0.004`, `+1:23.004`, `+2:05:00`."""
    return replay.offset(at - start)


@register.filter
def absolute(at: datetime) -> str:
    """A moment in full, in UTC, to the millisecond: `22 Nov 2026, 15:40:00.123 UTC`."""
    moment_utc = at.astimezone(UTC)
    return f"{moment_utc:%-d %b %Y, %H:%M:%S}.{moment_utc.microsecond // 1000:03d} UTC"


@register.filter
def minute(at: datetime) -> str:
    """A moment in UTC that somebody chose or waits for, to the minute: `22 Nov 2026, 15:40 UTC`."""
    return f"{at.astimezone(UTC):%-d %b %Y, %H:%M} UTC"


@register.filter
def clock(at: datetime, now: datetime) -> str:
    """A moment in UTC for a list of many: `15:40:00.123`, with the date unless it is the day of `now`."""
    moment_utc = at.astimezone(UTC)
    time = f"{moment_utc:%H:%M:%S}"
    if moment_utc.date() == now.astimezone(UTC).date():
        return f"{time}.{moment_utc.microsecond // 1000:03d}"
    return f"{moment_utc:%-d %b}, {time}" if moment_utc.year == now.year else f"{moment_utc:%-d %b %Y}"


@register.filter
def ago(at: datetime, now: datetime) -> str:
    """A moment as seen from `now`: `just now`, `12 s ago`, `4 min ago`, `3 h ago`, `2 d ago`, then the date."""
    seconds = int((now - at).total_seconds())
    if seconds < 5:
        return "just now"
    for limit, length, unit in ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h"), (7 * 86_400, 86_400, "d")):
        if seconds < limit:
            return f"{seconds // length} {unit} ago"
    return f"{at.astimezone(UTC):%-d %b %Y}"


@register.simple_tag
def moment(at: datetime | None, now: datetime) -> SafeString | str:
    """A `<time>` that says how long ago, and the exact moment on hover and to programs."""
    if at is None:
        return ABSENT
    return format_html(
        '<time datetime="{}" title="{}" data-ago>{}</time>', at.astimezone(UTC).isoformat(), absolute(at), ago(at, now)
    )
