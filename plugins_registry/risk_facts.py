"""The facts of `risk`, read from a revision's rows and its source."""

from __future__ import annotations

from km_protocol.kmpkg.manifest import Permissions

from plugins_registry import differences, queries
from plugins_registry.lifecycle import State
from plugins_registry.models import CheckRun, Plugin, Revision, Severity
from plugins_registry.risk import RiskFacts

_NAMES = ("network", "filesystem", "system", "api_key")
_INCIDENTS = (State.REJECTED, State.QUARANTINED, State.YANKED, State.BLOCKED)
_GRADES = [severity.value for severity in Severity]


def of(revision: Revision) -> RiskFacts:
    """`revision` with its version and source, once its checks ran."""
    plugin, before = revision.version.plugin, queries.last_approved(revision)
    wanted = _set(revision.manifest.permissions)
    had = _set(before.manifest.permissions) if before else frozenset()
    worst = revision.findings.filter(waived=False).values_list("severity", flat=True).distinct()
    return RiskFacts(
        permissions=wanted,
        widened=wanted - had,
        worst=max(worst, key=_GRADES.index, default=""),
        all_ran=not revision.check_runs.exclude(state=CheckRun.State.PASSED).exists() and revision.check_runs.exists(),
        changed_lines=_changed_lines(before, revision) if before else None,
        published=_published(plugin),
        incidents=_incidents(plugin),
    )


def _set(permissions: Permissions) -> frozenset[str]:
    return frozenset(name for name in _NAMES if getattr(permissions, name))


def _changed_lines(before: Revision, after: Revision) -> int | None:
    """`None` too when something changed that nobody can count: no text, or too much of it."""
    changes = differences.between(before.source, after.source)
    if not all(change.shown for change in changes):
        return None
    return sum(change.added + change.removed for change in changes)


def _published(plugin: Plugin) -> int:
    return plugin.versions.filter(revisions__state=State.PUBLISHED).distinct().count()


def _incidents(plugin: Plugin) -> int:
    """Of all plugins of the same owner: trust is in people, not in names."""
    return Revision.objects.filter(version__plugin__owner_id=plugin.owner_id, state__in=_INCIDENTS).count()
