"""The rows of a waterfall as markup. A page has a hundred of them, which as templates were half of its time.

    {% waterfall_rows batch.rows batch.base %}     rows, closed, each to be opened where it stands
    {% waterfall_line row %}                       the line of one alone; with `swap=True` it takes the old one's place
    {% waterfall_idle row %}                       the pause folded before it

What comes from a message or a name is escaped here; numbers, moments and ids of ours need not be.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from django import template
from django.utils.safestring import SafeString

from dashboard.templatetags.page import icon
from dashboard.templatetags.units import absolute, duration, offset, size
from dashboard.timeline import TimelineRow

register = template.Library()

_LIVE = '<span class="dot"></span><span>waiting<span class="hidden-text"> for the response</span></span>'
_BADGES = {
    "waiting": f'<span class="badge accent live">{_LIVE}</span>',
    "unanswered": '<span class="badge warn">no response</span>',
}


@register.simple_tag
def waterfall_rows(rows: Iterable[TimelineRow], base: str) -> SafeString:
    """`rows` of the session at the address `base`."""
    return SafeString("".join(_row(row, escape(base)) for row in rows))


@register.simple_tag
def waterfall_line(row: TimelineRow, *, swap: bool = False) -> SafeString:
    """What is seen of a row while it is closed."""
    return SafeString(_line(row, str(row.id), ' hx-swap-oob="true"' if swap else ""))


@register.simple_tag
def waterfall_idle(row: TimelineRow) -> SafeString:
    """How long nothing was under way before the row, where that is folded."""
    return SafeString(_idle(row))


def _row(row: TimelineRow, base: str) -> str:
    name = str(row.id)
    address = f"{base}/exchanges/{name}"
    return f"""<li id="row-{name}" data-row>
{_idle(row)}<details class="exchange">{_line(row, name)}
<div class="opened" id="in-{name}" hx-get="{address}/opened" hx-trigger="toggle from:closest details once" \
hx-swap="outerHTML"><p class="side"><a href="{address}">Open the whole exchange</a></p></div>
</details></li>
"""


def _idle(row: TimelineRow) -> str:
    return f'<p class="idle"><span>idle for {duration(row.idle_ms)}</span></p>' if row.idle_ms else ""


def _line(row: TimelineRow, name: str, swap: str = "") -> str:
    at = row.exchange.first.timestamp
    marks = f"{row.kind}{' back' if row.from_server else ''}{' failed' if row.is_bad else ''}"
    took = "" if row.duration_ms is None else duration(row.duration_ms)
    return f"""<summary class="line {marks}" id="open-{name}"{swap}>{_watched(row, name)}
<span class="at" title="{absolute(at)}">{offset(at, row.started_at)}</span>
<span class="way">{_way(row)}</span>
<span class="method"><bdi>{escape(row.title)}</bdi></span>
<span class="gist">{_gist(row)}</span>
<span class="state">{_state(row)}</span>
<span class="track" id="bar-{name}">{row.bar}</span>
<span class="took">{took}</span>
<span class="weight">{size(row.size)}</span>
<span class="chevron">{_drawn("chevron")}</span>
</summary>"""


def _watched(row: TimelineRow, name: str) -> str:
    """What makes the page's script ask for the answer."""
    return f'<input type="hidden" name="waiting" value="{name}">' if row.state == "waiting" else ""


def _way(row: TimelineRow) -> str:
    if row.kind == "gap":
        return _drawn("warn")
    drawing, words = ("back", "server to client") if row.from_server else ("forth", "client to server")
    return f'{_drawn(drawing)}<span class="hidden-text">{words}</span>'


def _gist(row: TimelineRow) -> str:
    tool, gist = row.exchange.first.tool, row.gist
    named = f"<b><bdi>{escape(tool)}</bdi></b>" if tool else ""
    tone = "fault" if gist.fault and row.is_bad else "said"
    return f'{named}<bdi class="{tone}">{escape(gist.fault or gist.said)}</bdi>'


def _state(row: TimelineRow) -> str:
    return '<span class="badge bad">error</span>' if row.is_bad else _BADGES.get(row.state, "")


def _drawn(name: str) -> str:
    return icon(name, 14)
