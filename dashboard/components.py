"""`/app/components`: every component of the look, living, in both themes side by side.

Whoever changes kilometers.css or makes a page looks here first. It shows the real templates with invented words.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from customers.models import Customer
from dashboard import charts, figures, waterfall_sample
from dashboard.boundary import member_page
from dashboard.json_tree import tree
from dashboard.json_view import pretty
from events.overview_queries import RANGES, Figures, Overview, Point

AT = datetime(2026, 11, 22, 15, 40, tzinfo=UTC)  # nothing on the page moves with the clock
MESSAGE = '{"jsonrpc":"2.0","id":7,"result":{"isError":false,"n":1.50e3,"content":[{"type":"text","text":"ok"}]}}'
COLOURS = ("canvas", "surface", "sunken", "raised", "hover", "line", "line-strong", "ink", "ink-2", "ink-3", "accent")
ICONS = ("search", "pause", "play", "theme", "out", "help", "chevron", "forth", "back", "warn", "copy", "load")
STATES = ("bad", "warn", "good", "accent")


@member_page
def components(request: HttpRequest, customer: Customer) -> HttpResponse:
    """Everything there is to build a page from."""
    context = {
        "customer": customer,
        "section": "components",
        "now": AT,
        "themes": ("light", "dark"),
        "colours": COLOURS,
        "states": STATES,
        "icons": ICONS,
        "asked": RANGES["24h"],
        "figures": figures.of(_overview()),
        "plan": SimpleNamespace(
            quota=100_000, used=83_000, quota_level="high", entitlement=SimpleNamespace(tier_name="Pro")
        ),
        "chart": charts.traffic(_points(), timedelta(hours=1)),
        "lines": charts.latency(_points(), timedelta(hours=1)),
        "batch": waterfall_sample.sample(AT),
        "pretty": pretty(MESSAGE),
        "tree": tree(MESSAGE),
        "snippet": json.dumps({"command": "km-client"}, indent=2),
    }
    return render(request, "dashboard/components.html", context)


def _points() -> list[Point]:
    begin = AT.replace(minute=0) - timedelta(hours=23)
    return [
        Point(
            begin + timedelta(hours=hour), 20 + hour * 37 % 90, hour * 7 % 5, None if hour == 9 else 12.0 + hour, 90.0
        )
        for hour in range(24)
    ]


def _overview() -> Overview:
    now = Figures(2408, 1204, 31, 5_242_880, 3, 12.5, 312.0, 1240.0)
    before = Figures(1960, 980, 12, 4_100_000, 3, 12.4, 401.0, 1100.0)
    return Overview(AT, now, before, _points(), [], [], [], None)
