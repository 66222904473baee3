"""Small submissions, made on the spot.

source(tmp_path, {"main.py": "import socket"}, network=True)
found(python_rules, tree)          {"undeclared-network"}: the rules that speak, by name
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from plugins_registry.inspection import go_rules, python_rules
from plugins_registry.inspection.findings import BLOCKING, Finding
from plugins_registry.inspection.source_tree import SourceTree

ROOT = Path(__file__).resolve().parents[3]
PERMISSIONS = ("network", "filesystem", "system")


def manifest(runtime: str = "python", **changed: Any) -> str:
    """A manifest that is valid unless `changed` says otherwise."""
    document = {
        "name": "slow-tools",
        "version": "1.0.0",
        "description": "Logs slow tools",
        "author": "Example",
        "license": "MIT",
        "runtime": runtime,
        "entry": "main.py" if runtime == "python" else "slow-tools",
        "compatibility": {"kilometers_cli": ">=0.1.0"},
        "permissions": dict.fromkeys(PERMISSIONS, False),
    }
    return json.dumps(document | changed)


def source(place: Path, files: Mapping[str, str | bytes], runtime: str = "python", **changed: Any) -> Path:
    """A directory with these files, and a manifest unless they bring one."""
    for name, content in {"manifest.json": manifest(runtime, **changed), **files}.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return place


def python(place: Path, code: str, *, file: str = "main.py", **permissions: bool) -> list[Finding]:
    return list(python_rules.check(SourceTree(source(place, {file: code})), permissions))


def go(place: Path, code: str, *, file: str = "main.go", **permissions: bool) -> list[Finding]:
    return list(go_rules.check(SourceTree(source(place, {file: code}, "go")), permissions))


def rules(findings: Iterable[Finding]) -> set[str]:
    return {found.rule for found in findings}


def grave(findings: Iterable[Finding]) -> set[str]:
    """The rules of those that stand in the way."""
    return {found.rule for found in findings if found.severity in BLOCKING}
