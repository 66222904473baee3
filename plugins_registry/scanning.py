"""The checks of a submitted revision: run, written down, and what they mean for its state.

    scan(revision.pk)      submitted → validating → scanning → security_review, with a row for each check and finding

Safe to run twice, also at once: a check that came to a result is not run again, what is written belongs to the state it
was made in, and of two transitions one wins. A tool that fails leads to `scan_error`: tried again by `due`, a few
times, then left to an operator (`retry`). It is never held against the author.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q
from km_protocol.errors import ManifestError, PackageError

from core.clock import now
from customers import audit
from plugins_registry import models, queries, scratch, source_pages, wakeup
from plugins_registry.errors import TransitionRefused
from plugins_registry.inspection import checking
from plugins_registry.inspection.checking import Check
from plugins_registry.inspection.findings import CheckResult
from plugins_registry.inspection.inspection import Surroundings
from plugins_registry.lifecycle import Action, State
from plugins_registry.models import CheckRun, Finding, Revision, Source
from plugins_registry.states import transition

RETRY_AFTER = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=25))
"""How long a failed scan rests before it is tried again; after the last, an operator is asked."""

ABANDONED_AFTER = timedelta(minutes=30)
"""Longer than all checks may take together: whoever began this has ended."""

UNHEARD_AFTER = timedelta(minutes=1)
"""By then a submission's message has reached a worker, or never will."""

_UNPACK = "unpack"  # the check that a source can be read at all
_HAS_RESULT = (CheckRun.State.PASSED, CheckRun.State.FAILED, CheckRun.State.NOT_RUN)
_log = structlog.get_logger(__name__)
Clock = Callable[[], datetime]


class _OvertakenError(Exception):
    """The revision is no longer where this scan found it."""


def scan(revision_id: int, *, surroundings: Surroundings | None = None, clock: Clock = now) -> State:
    """Bring the revision as far as programs can; returns the state it is then in. `revision_id` is the row's number."""
    try:
        return _scan(revision_id, _surroundings() if surroundings is None else surroundings, clock)
    except (_OvertakenError, TransitionRefused):
        _log.info("scan_overtaken", revision_row=revision_id)
        return _state(revision_id)


def due(*, at: datetime) -> list[int]:
    """The rows of revisions that wait for a scan: abandoned ones, and failed ones that have rested."""
    begun = Q(state__in=(State.VALIDATING, State.SCANNING), state_since__lte=at - ABANDONED_AFTER)
    unheard = Q(state=State.SUBMITTED, state_since__lte=at - UNHEARD_AFTER)
    rows = list(Revision.objects.filter(begun | unheard).values_list("pk", flat=True))
    failed = Revision.objects.filter(state=State.SCAN_ERROR).annotate(
        failures=Count("changes", filter=Q(changes__action=Action.FAIL_SCAN))
    )
    rested = (each for each in failed if each.failures <= len(RETRY_AFTER))
    return rows + [each.pk for each in rested if each.state_since + RETRY_AFTER[each.failures - 1] <= at]


def retry(revision_id: int, *, actor: str, at: datetime) -> None:
    """An operator's word that what failed works again. Raises `TransitionRefused`."""
    with transaction.atomic():
        transition(revision_id, Action.RETRY_SCAN, actor, at)
        wakeup.after_commit(wakeup.SCAN, revision_id)


def _scan(revision_id: int, surroundings: Surroundings, clock: Clock) -> State:
    """Raises `_OvertakenError`, `TransitionRefused` when somebody else brought the revision on."""
    if (state := _state(revision_id)) is State.SUBMITTED:
        state = _go(revision_id, Action.VALIDATE, clock())
    elif state is State.SCAN_ERROR and _failures(revision_id) <= len(RETRY_AFTER):
        state = _go(revision_id, Action.RETRY_SCAN, clock())
    if state is State.VALIDATING:
        results = _run(revision_id, state, checking.VALIDATION, surroundings, clock)
        state = _conclude(revision_id, results, Action.REFUSE if _is_invalid(revision_id) else Action.SCAN, clock)
    if state is State.SCANNING:
        results = _run(revision_id, state, (*checking.VALIDATION, *checking.SCANS), surroundings, clock)
        state = _conclude(revision_id, results, Action.PASS_SCAN, clock)
    return state


def _run(
    revision_id: int, state: State, checks: Sequence[Check], surroundings: Surroundings, clock: Clock
) -> list[CheckResult]:
    """Those of `checks` that have no result yet, each written as soon as it ends."""
    rows = Revision.objects.select_related("version__plugin", "source")
    revision = rows.get(pk=revision_id)
    before = queries.last_approved(revision)
    done = set(revision.check_runs.filter(state__in=_HAS_RESULT).values_list("check_name", flat=True))
    left = [check for check in checks if check.name not in done]
    results: list[CheckResult] = []
    if not left:
        return results
    with scratch.room("scan") as place:
        source, previous = place / "source", place / "previous"
        started = clock()
        try:
            _unpack(revision.source, source)
            if before:
                _unpack(before.source, previous)
        except (PackageError, ManifestError, OSError) as error:
            failed = CheckResult(_UNPACK, "error", detail=f"the stored source cannot be read: {error}")
            _write(revision, state, failed, started, clock())
            return [failed]
        revision.check_runs.filter(check_name=_UNPACK).delete()  # it could be read this time
        expected = (revision.version.plugin.name, revision.version.number)
        compared = previous if before else None
        for result in checking.run(
            source, revision.manifest, compared, expected=expected, surroundings=surroundings, checks=left
        ):
            results.append(result)
            _write(revision, state, result, started, started := clock())
    return results


def _unpack(source: Source, into: Path) -> None:
    """Raises `PackageError`, `ManifestError`, `OSError`, also when storage holds something else than was sent."""
    with source.file.storage.open(str(source.file.name), "rb") as file:
        digest = hashlib.sha256()
        while piece := file.read(256 * 1024):
            digest.update(piece)
    if digest.hexdigest() != source.sha256:
        raise OSError(f"its SHA-256 is {digest.hexdigest()}, which is not its name")
    with source_pages.opened(source) as opened:
        for entry in opened.entries:
            path = into / entry.name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as out:
                opened.archive.copy(entry, out.write)


def _write(revision: Revision, state: State, result: CheckResult, started: datetime, ended: datetime) -> None:
    """Replace what this check said before. Raises `_OvertakenError` when the revision went on without it."""
    waived = queries.waived(revision.version.plugin)
    with transaction.atomic():
        if not Revision.objects.select_for_update().filter(pk=revision.pk, state=state).exists():
            raise _OvertakenError
        CheckRun.objects.update_or_create(
            revision=revision,
            check_name=result.check,
            defaults={"state": result.state, "started_at": started, "ended_at": ended, "detail": result.detail},
        )
        Finding.objects.filter(revision=revision, check_name=result.check).delete()
        Finding.objects.bulk_create(_rows(revision, result, waived))
    if result.state == "error":
        _log.error("check_failed", revision=revision.public_id, check=result.check, cause=result.detail)


def _rows(revision: Revision, result: CheckResult, waived: frozenset[tuple[str, str]]) -> Iterable[models.Finding]:
    return [
        Finding(
            revision=revision,
            check_name=result.check,
            rule=found.rule,
            severity=found.severity,
            file=found.file,
            line=found.line or None,
            message=found.message,
            hint=found.hint,
            fingerprint=found.fingerprint,
            waived=(found.rule, found.fingerprint) in waived,
        )
        for found in result.findings
    ]


def _conclude(revision_id: int, results: Sequence[CheckResult], action: Action, clock: Clock) -> State:
    failed = [result.check for result in results if result.state == "error"]
    if not failed:
        count = Finding.objects.filter(revision_id=revision_id).count()
        return _go(revision_id, action, clock(), findings=count)
    state = _go(revision_id, Action.FAIL_SCAN, clock(), checks=failed)
    if _failures(revision_id) > len(RETRY_AFTER):
        _log.error("scan_needs_operator", revision_row=revision_id, checks=failed, effect="it waits for `retry`")
    return state


def _go(revision_id: int, action: Action, at: datetime, **details: object) -> State:
    return State(transition(revision_id, action, audit.SYSTEM, at, **details).state)


def _is_invalid(revision_id: int) -> bool:
    """Whether it is nothing that people need to look at."""
    grave = Finding.objects.filter(revision_id=revision_id, severity="critical", waived=False)
    return grave.filter(check_name__in=checking.INVALIDATING).exists()


def _state(revision_id: int) -> State:
    return State(Revision.objects.values_list("state", flat=True).get(pk=revision_id))


def _failures(revision_id: int) -> int:
    return models.StateChange.objects.filter(revision_id=revision_id, action=Action.FAIL_SCAN).count()


def _surroundings() -> Surroundings:
    """What the settings name, where it is there."""
    runner, cache, sdk = settings.PLUGIN_RUNNER, settings.GO_MODULE_CACHE, settings.GO_SDK_DIR
    toolchains = Path(settings.TOOLCHAIN_CACHE_DIR)
    return checking.found(runner=_there(runner), module_cache=_there(cache), go_sdk=_there(sdk), toolchains=toolchains)


def _there(path: str) -> Path | None:
    return Path(path).absolute() if path and Path(path).exists() else None
