"""The customer's page of the console: one page that shows everything about one of them, from every room.

    sections.add(10, usage)      # usage(customer, at) → Section("Usage, the last 14 days", ("Day", "Events"), rows)

A room above this one adds its own when its admin module is imported; they stand in the order of their numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from django.utils.html import escape
from django.utils.safestring import SafeString

from customers.models import Customer


class Cell(NamedTuple):
    """What stands in a row: text, perhaps a link, a badge's tone (`good`, `warn`, `bad`, `plain`) or a moment."""

    text: object
    href: str = ""
    badge: str = ""
    number: bool = False

    @property
    def markup(self) -> SafeString:
        """Its `<td>`. A page has some hundreds of them, which as templates were half of its time."""
        shown = _moment(self.text) if isinstance(self.text, datetime) else escape(self.text)
        if self.href:
            shown = f'<a class="km-link" href="{escape(self.href)}">{shown}</a>'
        if self.badge:
            shown = f'<span class="km-badge {escape(self.badge)}">{shown}</span>'
        kind = ' class="number"' if self.number else ""
        return SafeString(f"<td{kind}>{shown}</td>")


@dataclass(frozen=True, slots=True)
class Section:
    """A table. `empty` stands where there is no row; `href` leads to all of them."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    empty: str
    href: str = ""
    href_label: str = ""

    @property
    def body(self) -> SafeString:
        """All rows as markup."""
        return SafeString("\n".join(f"<tr>{''.join(cell.markup for cell in row)}</tr>" for row in self.rows))


Provider = Callable[[Customer, datetime], Section]

_providers: list[tuple[int, Provider]] = []


def add(place: int, provider: Provider) -> None:
    """Have `provider` make a section at `place`. Registering twice is the same as once."""
    if (place, provider) not in _providers:
        _providers.append((place, provider))
        _providers.sort(key=lambda each: each[0])


def all_of(customer: Customer, *, at: datetime) -> list[Section]:
    """Every section of `customer`'s page."""
    return [provider(customer, at) for _, provider in _providers]


def _moment(at: datetime) -> str:
    at = at.astimezone(UTC)
    return f'<time datetime="{at.isoformat()}">{at:%-d %b %Y, %H:%M}</time>'
