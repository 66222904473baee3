"""What `/app/tools` shows, from its address and back: an address shared is the same page for a colleague.

    /app/tools?server=git&state=open&sort=errors&range=7d&page=2

    asked = tools_filter.of(request.GET)
    asked.to(sort="name")       the address's part after `?` with another order, from the first page on

A page is shown by number: a list of tools is short beside one of events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from core.errors import InvalidRequest
from dashboard.asked import one_of, text
from events.overview_queries import Range
from events.tool_figures import TOOL_RANGES

STATES = {
    "open": "Changes to look at",
    "changed": "Changed in this time",
    "called": "Called",
    "failing": "Failing",
    "uncalled": "Never called",
    "gone": "Gone",
    "unlisted": "In no list",
}
SORTS = {
    "calls": "Calls",
    "name": "Name",
    "errors": "Errors",
    "rate": "Error rate",
    "slow": "Mean duration",
    "changed": "Newest change",
}
USUAL_SORT, USUAL_RANGE = "calls", "24h"
MAX_PAGE = 1_000
_FIELDS = ("q", "server", "state", "sort")


@dataclass(frozen=True, slots=True)
class Asked:
    """`given` holds each field as it was sent; `range` and `sort` have a value always."""

    given: Mapping[str, str]
    range: Range
    sort: str
    page: int

    @property
    def name(self) -> str:
        """The range's, as a chart's templates ask."""
        return self.range.name

    @property
    def words(self) -> str:
        return self.range.words

    @property
    def is_narrowed(self) -> bool:
        return any(self.given[name] for name in ("q", "server", "state"))

    def to(self, **changes: str) -> str:
        """Blank fields and usual values are left out."""
        kept = {**self.given, "sort": self.sort, "range": self.range.name} | changes
        usual = {"sort": USUAL_SORT, "range": USUAL_RANGE, "page": "1"}
        return urlencode({name: value for name, value in kept.items() if value and usual.get(name) != value})


def of(sent: Mapping[str, str]) -> Asked:
    """What an address asks for. Raises `InvalidRequest`, which names the field."""
    given = {name: text(sent, name) for name in _FIELDS}
    one_of("state", given["state"], tuple(STATES))
    one_of("sort", given["sort"], tuple(SORTS))
    return Asked(given, range_of(sent), given["sort"] or USUAL_SORT, _page(sent.get("page", "")))


def range_of(sent: Mapping[str, str]) -> Range:
    """The range alone. Raises `InvalidRequest`."""
    name = sent.get("range", "")
    one_of("range", name, tuple(TOOL_RANGES))
    return TOOL_RANGES[name or USUAL_RANGE]


def _page(number: str) -> int:
    if not number:
        return 1
    if not number.isascii() or not number.isdigit() or not 1 <= int(number[:6]) <= MAX_PAGE or len(number) > 4:
        raise InvalidRequest(f"`page` is `{number[:20]}`", f"give a number from 1 to {MAX_PAGE}")
    return int(number)
