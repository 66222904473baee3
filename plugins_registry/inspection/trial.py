"""The plugin under the sandbox it will have at a customer's, fed with the golden event stream, beside bait.

    km-client plugin try SOURCE --json
    → {"ok": true, "handled": 20, "failed": 0, "attempted": [], "memory_bytes": 31457280, "seconds": 1.1, …}

The runner is the authors' own program, found by path: the service shares no code with it. A Go plugin is built here
first, without a network. Everything happens in a box that needs bubblewrap; there is no trial without one.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from plugins_registry.inspection import box, go_tools
from plugins_registry.inspection.errors import ToolFailedError, ToolMissingError
from plugins_registry.inspection.findings import Finding, Severity, finding
from plugins_registry.inspection.inspection import Inspection
from plugins_registry.inspection.interpreters import runtime_of
from plugins_registry.inspection.pin_rules import REQUIREMENTS
from plugins_registry.inspection.source_tree import SourceTree

CHECK = "trial"
_LIMITS = box.Limits(seconds=90.0, memory=2048 * box.MIB, output=4 * box.MIB)
_MOST_MEMORY = 256 * box.MIB  # the guide's plugin holds 20
_STOLEN = (".ssh/id_rsa", ".ssh/id_ed25519", ".aws/credentials", ".netrc", ".config/kilometers/credentials.json")
_BAIT = [f"{home}/{name}" for home in ("/root", "/home/user") for name in _STOLEN]
_BAIT += ["/etc/passwd", "/etc/shadow", "/etc/hostname"]
_HINT = "`km-client plugin try .` shows the same"
# Why this machine cannot try it: never the plugin's fault.
_MACHINES_FAULTS = frozenset(
    {"sandbox_missing", "sandbox_incomplete", "platform_unsupported", "python_incompatible", "cli_incompatible"}
)


class Attempt(msgspec.Struct):
    call: str
    target: str
    refused: str
    count: int


class Report(msgspec.Struct):
    """What the runner prints; other fields are passed over."""

    ok: bool
    handled: int
    failed: int
    events: int
    attempted: list[Attempt]
    memory_bytes: int
    seconds: float
    state: str = ""
    code: str = ""
    message: str = ""
    log: list[str] = []


def tried(inspection: Inspection) -> Iterator[Finding]:
    """Raises `ToolMissingError`, `ToolFailedError`."""
    runner, manifest = inspection.surroundings.runner, inspection.manifest
    if runner is None:
        raise ToolMissingError("there is no `km-client` to try plugins with; `KM_PLUGIN_RUNNER` names one")
    if not box.has_namespaces():
        raise ToolMissingError("bubblewrap is not installed, or this system does not let it make namespaces")
    if manifest is None:
        raise ToolMissingError("without a valid manifest there is nothing to start")
    if SourceTree(inspection.source).has(REQUIREMENTS):
        raise ToolMissingError(f"what `{REQUIREMENTS}` names is fetched by the build, and not here")
    place = inspection.source
    if manifest.runtime == "go":
        place = _built(inspection, manifest.entry)
        if not (place / manifest.entry).is_file():
            yield _about("not-buildable", "high", "does not compile")
            return
    yield from _judged(_report(runner, place, inspection))


def _built(inspection: Inspection, entry: str) -> Path:
    """The program beside its manifest, as in a package."""
    place = inspection.scratch / "built"
    (place / entry).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(inspection.source / "manifest.json", place)
    flags = ["-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid="]
    go_tools.run(inspection, ["build", *flags, "-o", str(place / entry), "."])
    return place


def _report(runner: Path, place: Path, inspection: Inspection) -> Report:
    finished = box.run(
        [str(runner), "plugin", "try", str(place), "--json"],
        shows=[*runtime_of(runner), place],
        lays=_bait(inspection.scratch),
        directory=place,
        limits=_LIMITS,
        isolated=True,
        environment={"KM_CONFIG_DIR": "/tmp/config", "KM_DATA_DIR": "/tmp/data"},  # noqa: S108 - the box's own
    )
    try:
        return msgspec.json.decode(finished.stdout, type=Report)
    except msgspec.DecodeError:
        message = f"`{runner.name} plugin try` ended with {finished.code} and no report: {finished.stderr}"
        raise ToolFailedError(message) from None


def _bait(scratch: Path) -> dict[str, Path]:
    """Files that a thief looks for. A path that is not there is refused by nobody, so nobody would hear of it."""
    bait = scratch / "bait"
    bait.write_text("")
    return dict.fromkeys(_BAIT, bait)


def _judged(report: Report) -> Iterator[Finding]:
    if report.code in _MACHINES_FAULTS:
        raise ToolMissingError(report.message)
    for attempt in report.attempted:
        message = f"tried `{attempt.call}` {attempt.target} {attempt.count} times, which was refused: {attempt.refused}"
        yield _about("refused-attempt", "high", message, f"{attempt.call} {attempt.target}")
    if not report.ok:
        tail = " · ".join(report.log[-3:])
        yield _about(report.code or "not-well", "high", f"{report.message or report.state}. Its log: {tail}")
    elif report.failed:
        yield _about(
            "failed-events", "medium", f"failed {report.failed} of {report.events} events of the golden stream"
        )
    if report.memory_bytes > _MOST_MEMORY:
        message = f"held {report.memory_bytes / box.MIB:.0f} MiB; {_MOST_MEMORY // box.MIB} are plenty"
        yield _about("memory", "medium", message, "memory")
    facts = (
        f"{report.handled} of {report.events} events in {report.seconds:.1f} s, {report.memory_bytes / box.MIB:.0f} MiB"
    )
    yield _about("measured", "info", facts, "measured")


def _about(rule: str, severity: Severity, message: str, text: str = "") -> Finding:
    return finding(CHECK, rule, severity, message, _HINT if severity != "info" else "", text=text or rule)
