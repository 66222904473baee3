"""The customer's page of the console: one page that shows everything about one of them, from every room.

    sections.add(10, usage)      # usage(customer, at) → Section("Usage, the last 14 days", ("Day", "Events"), rows)

A room above this one adds its own when its admin module is imported; they stand in the order of their numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from customers.models import Customer


class Cell(NamedTuple):
    """What stands in a row: text, perhaps a link, a badge's tone (`good`, `warn`, `bad`, `plain`) or a moment."""

    text: object
    href: str = ""
    badge: str = ""
    number: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A table. `empty` stands where there is no row; `href` leads to all of them."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    empty: str
    href: str = ""
    href_label: str = ""


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
