"""Where one can go: the one list from which the bar, the keys `g` and a letter, and the help are made.

    for place in places():  place.label, place.url, place.key

A place names the addresses it may be at, the best first; one that has none yet is not shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from django.urls import NoReverseMatch, reverse


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of the navigation. `sections` are the `section`s of the pages that belong to it."""

    label: str
    key: str
    url: str
    sections: frozenset[str]


_PLACES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Overview", "o", ("overview",)),
    ("Events", "e", ("events",)),
    ("Sessions", "s", ("sessions",)),
    ("Tools", "t", ("tools", "servers")),
    ("Plugins", "p", ("plugins", "submissions")),
    ("Alerts", "a", ("alerts",)),
    ("Settings", "c", ("settings",)),
)


@cache
def places() -> tuple[Place, ...]:
    """The entries there are, in order. The addresses of a running service do not change."""
    found = []
    for label, key, names in _PLACES:
        urls = [url for url in map(_url, names) if url]
        found += [Place(label, key, urls[0], frozenset(names))] if urls else []
    return tuple(found)


def _url(name: str) -> str:
    try:
        return reverse(f"dashboard:{name}")
    except NoReverseMatch:
        return ""
