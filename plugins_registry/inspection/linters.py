"""ruff's `S` rules and bandit, over the Python files, as the author has no say in.

No configuration of the submission is read, no `noqa` or `nosec` counts, no directory is left out for its name: every
file is named on the command line. What is in `tests/` is an `info`, since it is never in a package. Asserts are no
finding: they check what the type checker cannot, and nothing depends on them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from plugins_registry.inspection import box
from plugins_registry.inspection.errors import ToolFailedError, ToolMissingError
from plugins_registry.inspection.findings import Finding, Severity, finding, lowered
from plugins_registry.inspection.inspection import Inspection
from plugins_registry.inspection.interpreters import runtime_of
from plugins_registry.inspection.source_tree import SourceTree, line_of

T = TypeVar("T")
RUFF, BANDIT = "ruff", "bandit"
_LIMITS = box.Limits(seconds=90.0, output=16 * box.MIB)
_NOWHERE = "/nonexistent"  # a configuration, an exclusion: none
# What ruff's rules weigh, in the manner of bandit, which they come from; the others are `low`.
_HIGH_CODES = """S102 S202 S301 S302 S307 S312 S321 S323 S401 S402 S403 S501 S502 S503 S504 S505 S506 S507 S602 S604
S605 S609 S611 S701 S702 S704"""
_MEDIUM_CODES = "S103 S104 S105 S106 S107 S108 S113 S310 S313 S314 S315 S316 S317 S318 S319 S320 S324"
_RUFF_HIGH, _RUFF_MEDIUM = frozenset(_HIGH_CODES.split()), frozenset(_MEDIUM_CODES.split())
_RUFF_INFO = frozenset({"S311", "S404", "S603", "S607"})  # `random`; programs have a rule of our own
# bandit rates every `exec` and `pickle` as medium; the rest is its own word.
_BANDIT: Mapping[str, Severity] = {"B102": "high", "B301": "high", "B302": "high", "B307": "high"}
_SEVERITIES: Mapping[str, Severity] = {"LOW": "low", "MEDIUM": "medium", "HIGH": "high", "UNDEFINED": "low"}
_INFO_BANDIT = frozenset({"B311", "B404", "B603", "B607"})


class _Place(msgspec.Struct):
    row: int


class _RuffFinding(msgspec.Struct):
    filename: str
    message: str
    location: _Place
    code: str | None = None
    url: str | None = None


class _BanditFinding(msgspec.Struct):
    filename: str
    test_id: str
    test_name: str
    issue_severity: str
    issue_text: str
    line_number: int
    more_info: str = ""


class _BanditError(msgspec.Struct):
    filename: str
    reason: str


class _BanditReport(msgspec.Struct):
    errors: list[_BanditError]
    results: list[_BanditFinding]


def ruff(inspection: Inspection) -> Iterator[Finding]:
    """Raises `ToolMissingError`, `ToolFailedError`."""
    program = inspection.surroundings.ruff
    if program is None:
        raise ToolMissingError("`ruff` is not installed")
    tree = SourceTree(inspection.source)
    options = [
        "check",
        "--isolated",
        "--select",
        "S",
        "--ignore",
        "S101",
        "--ignore-noqa",
        "--no-cache",
        "--exit-zero",
        "--no-fix",
        "--quiet",
    ]
    options += ["--target-version", "py311", "--output-format", "json", "--"]
    said = _lint([str(program), *options], tree, [program], {"RAYON_NUM_THREADS": "2"})
    yield from (_of_ruff(each, tree) for each in _read(said, list[_RuffFinding], RUFF)) if said else ()


def bandit(inspection: Inspection) -> Iterator[Finding]:
    """Raises `ToolMissingError`, `ToolFailedError`."""
    tree = SourceTree(inspection.source)
    python = [sys.executable, "-I", "-B", "-m", "bandit"]
    options = [
        "--format",
        "json",
        "--quiet",
        "--ignore-nosec",
        "--skip",
        "B101",
        "--exit-zero",
        "--exclude",
        _NOWHERE,
        "--",
    ]
    said = _lint([*python, *options], tree, runtime_of(Path(sys.executable)), {})
    if said:
        report = _read(said, _BanditReport, BANDIT)
        for error in report.errors:
            if "syntax error" not in error.reason:  # which `python_rules` reports
                raise ToolFailedError(f"bandit could not read `{error.filename}`: {error.reason}")
        yield from (_of_bandit(each, tree) for each in report.results)


def _lint(command: list[str], tree: SourceTree, shows: Iterable[Path], environment: Mapping[str, str]) -> bytes:
    files = [f"./{file.name}" for file in tree.named(".py", ".pyw", ".pyi", own=False)]
    if not files:
        return b""
    boxed = [tree.root, *shows]
    finished = box.run(
        [*command, *files], shows=boxed, directory=tree.root, limits=_LIMITS, environment=dict(environment)
    )
    if "No module named bandit" in finished.stderr:
        raise ToolMissingError("`bandit` is not installed")
    if finished.code:
        raise ToolFailedError(f"`{Path(command[0]).name}` ended with {finished.code}: {finished.stderr}")
    return finished.stdout


def _read(said: bytes, kind: type[T], tool: str) -> T:
    try:
        return msgspec.json.decode(said, type=kind)
    except msgspec.DecodeError as error:
        raise ToolFailedError(f"what `{tool}` printed is not what it used to be: {error}") from None


def _of_ruff(each: _RuffFinding, tree: SourceTree) -> Finding:
    code = each.code or "syntax"
    severity: Severity = "low"
    if code in _RUFF_INFO:
        severity = "info"
    elif code in _RUFF_HIGH or code == "syntax":
        severity = "high"
    elif code in _RUFF_MEDIUM:
        severity = "medium"
    return _placed(RUFF, code, severity, each.message, each.url or "", each.filename, each.location.row, tree)


def _of_bandit(each: _BanditFinding, tree: SourceTree) -> Finding:
    severity = "info" if each.test_id in _INFO_BANDIT else _SEVERITIES.get(each.issue_severity, "low")
    severity = _BANDIT.get(each.test_id, severity)
    rule = f"{each.test_id}-{each.test_name}".replace("_", "-")
    return _placed(BANDIT, rule, severity, each.issue_text, each.more_info, each.filename, each.line_number, tree)


def _placed(  # noqa: PLR0913, PLR0917 - a finding has these parts
    check: str, rule: str, severity: Severity, message: str, hint: str, path: str, line: int, tree: SourceTree
) -> Finding:
    name = os.path.relpath(tree.root / path, tree.root)
    text = line_of(tree.text(name), line) if tree.has(name) else ""
    found = finding(check, rule, severity, message, hint, file=name, line=line, text=text)
    return lowered(found, "info") if name.startswith("tests/") else found
