"""Every check of one source, one after the other; the database is none of its business.

    for result in run(source, manifest, previous=None, surroundings=found()):
        …      manifest passed · hygiene passed · python_rules failed · …

The order is from the cheap to the dear. A check that does not concern a runtime is not listed. None stops another: what
one tool cannot say, the next may.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from km_protocol.errors import ManifestError
from km_protocol.kmpkg.manifest import Manifest

from plugins_registry import scratch
from plugins_registry.inspection import (
    go_rules,
    go_tools,
    hygiene,
    licence_rules,
    linters,
    manifest_rules,
    pin_rules,
    python_rules,
    rule_runs,
    secret_rules,
    trial,
    vendored,
)
from plugins_registry.inspection.errors import ToolFailedError, ToolMissingError
from plugins_registry.inspection.findings import CheckResult, Finding, judged
from plugins_registry.inspection.inspection import Inspection, Surroundings
from plugins_registry.inspection.source_tree import SourceTree

Run = Callable[[Inspection], Iterable[Finding]]


class Check(NamedTuple):
    """`runtime`: of which plugins; empty for all."""

    name: str
    run: Run
    runtime: str = ""


def _ruled(name: str, runtime: str = "") -> Check:
    return Check(name, partial(rule_runs.run, name), runtime)


VALIDATION: tuple[Check, ...] = (_ruled(manifest_rules.CHECK), _ruled(hygiene.CHECK))
"""What a submission must pass before anything else is done with it."""

SCANS: tuple[Check, ...] = (
    _ruled(secret_rules.CHECK),
    _ruled(licence_rules.CHECK),
    _ruled(pin_rules.CHECK),
    _ruled(python_rules.CHECK),  # whatever the runtime: a Go plugin's scripts are read too
    Check(linters.RUFF, linters.ruff),
    Check(linters.BANDIT, linters.bandit),
    _ruled(go_rules.CHECK, "go"),
    _ruled(vendored.CHECK, "go"),
    Check(go_tools.LIST, go_tools.listed, "go"),
    Check(go_tools.VET, go_tools.vetted, "go"),
    Check(trial.CHECK, trial.tried),
)
INVALIDATING = frozenset({manifest_rules.CHECK, hygiene.CHECK})
"""A critical finding of one of these makes a submission invalid; others are for the reviewers to judge."""


def run(
    source: Path,
    manifest: Manifest | None,
    previous: Path | None = None,
    *,
    expected: tuple[str, str] | None = None,
    surroundings: Surroundings | None = None,
    checks: Iterable[Check] = (*VALIDATION, *SCANS),
) -> Iterator[CheckResult]:
    """Never raises for what the source holds. Without `manifest`, the one in the source counts, if there is one."""
    manifest = manifest or _own_manifest(source)
    with scratch.room("checks") as place:
        offered = found() if surroundings is None else surroundings
        inspection = Inspection(source.resolve(), manifest, previous, expected, place, offered)
        for check in checks:
            if not check.runtime or (manifest and manifest.runtime == check.runtime):
                yield _result(check, inspection)


def found(
    *,
    runner: Path | None = None,
    module_cache: Path | None = None,
    go_sdk: Path | None = None,
    toolchains: Path | None = None,
) -> Surroundings:
    """What this machine has; `runner` is `km-client` beside this interpreter, or on PATH, unless it is given."""
    return Surroundings(
        runner=runner or _program("km-client"),
        module_cache=module_cache,
        go_sdk=go_sdk,
        toolchains=toolchains,
        go=_program("go"),
        ruff=_program("ruff"),
    )


def _result(check: Check, inspection: Inspection) -> CheckResult:
    started = time.monotonic()
    try:
        findings = list(check.run(inspection))
    except ToolMissingError as error:
        return CheckResult(check.name, "not_run", detail=str(error))
    except (ToolFailedError, OSError) as error:
        return CheckResult(check.name, "error", detail=str(error), seconds=time.monotonic() - started)
    return judged(check.name, findings, seconds=time.monotonic() - started)


def _own_manifest(source: Path) -> Manifest | None:
    try:
        return manifest_rules.read(SourceTree(source))
    except (FileNotFoundError, ManifestError):
        return None


def _program(name: str) -> Path | None:
    """The one installed beside this interpreter goes before one on PATH."""
    beside = Path(sys.executable).parent / name
    on_path = shutil.which(name)
    return beside if beside.is_file() else Path(on_path) if on_path else None
