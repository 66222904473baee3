"""What a list's address asks for, and back: an address shared is the same page for a colleague.

    asked.only          what is looked for
    asked.words         the address's part after `?`, blank fields left out, ending in `&` unless empty

A range reaches up to now; `from` and `to` are taken before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar
from urllib.parse import urlencode

from core.errors import InvalidRequest
from events.overview_queries import RANGES

Only = TypeVar("Only")
MAX_CHARACTERS = 200  # as long as any of these columns
SPAN_FIELDS = ("range", "from", "to")


@dataclass(frozen=True, slots=True)
class Asked(Generic[Only]):
    """`given` holds each field as it was sent; `is_narrowed` says whether any of them is."""

    given: Mapping[str, str]
    only: Only

    @property
    def is_narrowed(self) -> bool:
        return any(self.given.values())

    @property
    def words(self) -> str:
        """For the addresses of this list's other pages."""
        kept = urlencode({name: value for name, value in self.given.items() if value})
        return f"{kept}&" if kept else ""


def span(given: Mapping[str, str], *, at: datetime) -> tuple[datetime | None, datetime | None]:
    """From when and until when, of `SPAN_FIELDS`; `None` where nothing limits it. Raises `InvalidRequest`."""
    one_of("range", given["range"], tuple(RANGES))
    since, until = moment("from", given["from"]), moment("to", given["to"])
    if given["range"] and since is None and until is None:
        since = at - RANGES[given["range"]].length
    return since, until


def text(sent: Mapping[str, str], name: str) -> str:
    """The field `name`, blank when it was not sent."""
    given = sent.get(name, "").strip()
    if "\0" in given:
        raise InvalidRequest(f"`{name}` holds U+0000, which no event does", "leave the character out")
    if len(given) > MAX_CHARACTERS:
        raise InvalidRequest(f"`{name}` has {len(given)} characters", f"give at most {MAX_CHARACTERS}")
    return given


def one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse what is neither blank nor `known`."""
    if value and value not in known:
        raise InvalidRequest(f"`{name}` is `{value[:20]}`", f"it may be {', '.join(known)}, or left out")


def moment(name: str, given: str) -> datetime | None:
    """A moment of a form or of an address; without a zone it is in UTC."""
    if not given:
        return None
    try:
        found = datetime.fromisoformat(given)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(f"`{name}` is no moment", "give one such as 2026-11-22T15:40, in UTC") from None
