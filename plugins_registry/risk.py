"""How much a revision could do harm, from facts alone, and whether it may pass without a person.

    risk_of(RiskFacts(permissions=frozenset(), widened=frozenset(), worst="", …))   → "low"

Passing without a person means: certified, never approved. Two reviewers still put their own keys under every payload.
"""

from __future__ import annotations

from dataclasses import dataclass

from plugins_registry.models import Revision

GRAVE = frozenset({"high", "critical"})
MAX_UNSEEN_LINES = 200  # changed since people last looked: what one of them reads attentively in ten minutes
CLEAN_VERSIONS = 2  # published before, without a complaint

Risk = Revision.Risk


@dataclass(frozen=True, slots=True)
class RiskFacts:
    """What is known once the checks ran.

    `permissions` are those declared; `widened` those the last approved revision did not have. `worst` is the gravest
    finding that nobody waived, "" for none; `all_ran` that no check was left out. `changed_lines` counts since the last
    approved revision, `None` when there is none. `published` counts the plugin's versions that went well, `incidents`
    its owner's revisions that were rejected, quarantined, yanked or blocked.
    """

    permissions: frozenset[str]
    widened: frozenset[str]
    worst: str
    all_ran: bool
    changed_lines: int | None
    published: int
    incidents: int


def risk_of(facts: RiskFacts) -> Risk:
    """High: what could leave the sandbox, or a grave finding. Low: little changed, nothing found, nothing wanted."""
    if facts.worst in GRAVE or facts.permissions & {"system", "api_key"} or facts.widened & {"network", "filesystem"}:
        return Risk.HIGH
    small = facts.changed_lines is not None and facts.changed_lines <= MAX_UNSEEN_LINES
    quiet = facts.worst in {"", "info"} and facts.all_ran
    return Risk.LOW if small and quiet and not facts.widened else Risk.MEDIUM


def passes_by_rule(facts: RiskFacts) -> bool:
    """Low risk, no permission that was not there before, and a clean history."""
    clean = facts.incidents == 0 and facts.published >= CLEAN_VERSIONS
    return risk_of(facts) is Risk.LOW and not facts.widened and clean
