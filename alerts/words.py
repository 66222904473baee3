"""What an incident is, in a sentence: the same on its page, in the letter and in the webhook.

sentence(incident)   → "12.5 % of 840 requests failed within 15 minutes; the rule allows less than 5 %."
scope(rule)          → "git · git_push"
"""

from __future__ import annotations

from alerts.models import Condition, Incident, Kind

SHOWN = 5  # changes named in a sentence
_MINUTES = ((24 * 60, "day"), (60, "hour"), (1, "minute"))


def sentence(incident: Incident) -> str:
    """What was measured when the incident opened, and the threshold."""
    counted = f"{incident.counted:,}"
    limit = value(incident, incident.threshold)
    measured, within = value(incident, incident.value), span(incident.window_minutes)
    match incident.kind:
        case Kind.ERRORS:
            return f"{measured} of {counted} requests failed within {within}; the rule allows less than {limit}."
        case Kind.LATENCY:
            return f"The 95th percentile of {counted} answers within {within} was {measured}; the rule allows {limit}."
        case Kind.DEFINITION:
            return f"Within {within}: {_changes(incident)}."
        case Kind.QUOTA:
            return f"{measured} of today’s quota is used, {counted} events; the rule tells of {limit}."
        case _:
            return f"Nothing was heard for {measured}; the rule allows {limit}."


def value(condition: Condition, number: float) -> str:
    """A number in the condition's unit: `12.5 %`, `2,000 ms`, `1 hour 30 minutes`."""
    match condition.kind:
        case Kind.ERRORS | Kind.QUOTA:
            return f"{number:.3g} %" if number < 100 else f"{number:.0f} %"
        case Kind.LATENCY:
            return f"{number:,.0f} ms"
        case Kind.DEFINITION:
            return f"{number:.0f} change{'' if number == 1 else 's'}"
        case _:
            return span(int(number))


def span(minutes: int) -> str:
    """`15 minutes`, `1 hour`, `1 hour 30 minutes`, `2 days`."""
    parts, left = [], max(0, minutes)
    for size, noun in _MINUTES:
        number, left = divmod(left, size)
        if number:
            parts.append(f"{number} {noun}{'' if number == 1 else 's'}")
    return " ".join(parts[:2]) or "0 minutes"


def scope(condition: Condition) -> str:
    """What is watched; blank for everything."""
    return " · ".join(filter(None, (condition.server, condition.method, condition.tool)))


def rule(condition: Condition) -> str:
    """When a rule holds: `5 % within 15 minutes`."""
    limit = value(condition, condition.threshold)
    if condition.kind in (Kind.QUOTA, Kind.SILENCE):
        return limit
    if condition.kind == Kind.DEFINITION:
        return "any change" if condition.threshold <= 1 else limit
    return f"{limit} within {span(condition.window_minutes)}"


def _changes(incident: Incident) -> str:
    named = [
        f"{each['tool']} of {each['server'] or 'an unnamed server'} is {each['change']}" for each in incident.found
    ]
    more = len(named) - SHOWN
    text = "; ".join(named[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
    return text or value(incident, incident.value)
