"""Servers and clients by number: an event holds one number in place of a name, a version and a title.

numbers({(7, "git", "1.2.0", "Git")})  → {(7, "git", "1.2.0", "Git"): 12}
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from events.models import Party
from events.store import NewEvent

Key = tuple[int, str, str, str]
"""(customer, name, version, title)"""


def numbers_of(events: Iterable[NewEvent]) -> dict[Key, int]:
    """The number of each party that `events` name."""
    named = {(event.customer_id, *party) for event in events for party in (event.server, event.client)}
    return numbers({key for key in named if any(key[1:])})


def numbers(keys: Collection[Key]) -> dict[Key, int]:
    """The number of each party, those seen for the first time among them. Call inside the drain's transaction."""
    found = _read(keys)
    missing = sorted(set(keys) - found.keys())
    if missing:
        rows = [Party(customer_id=key[0], name=key[1], version=key[2], title=key[3]) for key in missing]
        Party.objects.bulk_create(rows, ignore_conflicts=True)  # another drain may have met the same party
        found |= _read(missing)
    return found


def _read(keys: Collection[Key]) -> dict[Key, int]:
    if not keys:
        return {}
    near = Party.objects.filter(customer_id__in={key[0] for key in keys}, name__in={key[1] for key in keys})
    rows = near.values_list("customer_id", "name", "version", "title", "id")
    return {row[:4]: row[4] for row in rows if row[:4] in keys}
