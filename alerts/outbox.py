"""What is to be told, written in the transaction of what it is about: a row for each address, its body made for good.

    tell(incident, rule, "incident.opened", at=moment)    → [Delivery(address="ann@acme.example", …), …]

A webhook's body (Standard Webhooks' shape; the id and the signature are headers):

    {"type": "incident.opened", "timestamp": "2026-11-22T15:40:00Z",
     "data": {"incident": "inc_…", "summary": "12.5 % of 840 requests failed …", "rule": {"id": "rul_…", "name": …}, …}}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from django.conf import settings

from alerts import wakeup, words
from alerts.models import Delivery, Destination, Incident, Kind, Rule
from customers.models import Member

TRIED_FOR = timedelta(days=1)
MAX_SUBJECT_CHARACTERS = 150
_UNITS = {Kind.ERRORS: "percent", Kind.LATENCY: "ms", Kind.DEFINITION: "changes", Kind.QUOTA: "percent"}
_LETTER = """\
{sentence}

Rule: {rule}
Watched: {scope}
{moments}

{link}
"""
_TEST = """\
This is a test. Incidents of the rules that name “{name}” are told here.

{link}
"""


def tell(incident: Incident, rule: Rule, about: str, *, at: datetime) -> list[Delivery]:
    """Write what `rule`'s destinations are to be told of `incident`. In the transaction of what happened."""
    to = rule.destinations.filter(disabled_at=None).order_by("id").prefetch_related("members__user")
    return _write(to, about, at=at, incident=incident)


def tell_test(destination: Destination, *, at: datetime) -> list[Delivery]:
    """Write a message that says it is a test."""
    return _write([destination], Delivery.About.TEST, at=at, incident=None)


def link(incident: Incident | None) -> str:
    """The page to look at."""
    return f"{settings.PUBLIC_URL}/app/alerts" + (f"/incidents/{incident.public_id}" if incident else "")


def _write(to: Iterable[Destination], about: str, *, at: datetime, incident: Incident | None) -> list[Delivery]:
    rows = [
        Delivery(
            customer_id=destination.customer_id,
            destination=destination,
            member=member,
            incident=incident,
            about=about,
            address=member.user.email if member else destination.url,
            subject=_subject(about, incident) if member else "",
            body=_letter(destination, incident) if member else _body(destination, about, incident, at),
            next_at=at,
            give_up_at=at + TRIED_FOR,
            created_at=at,
            asked_at=at if incident is None else None,
        )
        for destination in to
        for member in _addressees(destination)
    ]
    made = Delivery.objects.bulk_create(rows)
    if made:
        wakeup.after_commit()
    return made


def _addressees(destination: Destination) -> Iterator[Member | None]:
    """The members to write to; one `None` for a webhook."""
    if destination.channel == Destination.Channel.WEBHOOK:
        yield None
        return
    for member in destination.members.all():
        if member.user.is_active and member.user.email:
            yield member


def _subject(about: str, incident: Incident | None) -> str:
    if incident is None:
        return "A test from Kilometers"
    words_ = "Resolved" if about == Delivery.About.RESOLVED else "Alert"
    return " ".join(f"{words_}: {incident.name}".split())[:MAX_SUBJECT_CHARACTERS]


def _letter(destination: Destination, incident: Incident | None) -> str:
    if incident is None:
        return _TEST.format(name=destination.name, link=link(None))
    moments = f"Since: {_utc(incident.opened_at)}"
    if incident.resolved_at:
        moments += f"\nResolved: {_utc(incident.resolved_at)}"
    return _LETTER.format(
        sentence=words.sentence(incident),
        rule=f"{incident.name} ({words.rule(incident)})",
        scope=words.scope(incident) or "everything",
        moments=moments,
        link=link(incident),
    )


def _body(destination: Destination, about: str, incident: Incident | None, at: datetime) -> str:
    data = _data(incident) if incident else {"destination": destination.public_id, "summary": "This is a test."}
    return msgspec.json.encode({"type": about, "timestamp": at.astimezone(UTC), "data": data}).decode()


def _data(incident: Incident) -> dict[str, Any]:
    rule = incident.rule
    return {
        "incident": incident.public_id,
        "summary": words.sentence(incident),
        "rule": {"id": rule.public_id if rule else "", "name": incident.name, "kind": incident.kind},
        "scope": {"server": incident.server, "method": incident.method, "tool": incident.tool},
        "measured": incident.value,
        "threshold": incident.threshold,
        "unit": _UNITS.get(Kind(incident.kind), "minutes"),
        "counted": incident.counted,
        "window_minutes": incident.window_minutes,
        "changes": incident.found,
        "opened_at": incident.opened_at.astimezone(UTC),
        "resolved_at": incident.resolved_at and incident.resolved_at.astimezone(UTC),
        "url": link(incident),
    }


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%-d %b %Y, %H:%M} UTC"
