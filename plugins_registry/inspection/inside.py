"""What runs in the box: one check of the source, told on stdin, answered on stdout.

    ← {"check": "secrets", "source": "/srv/…", "previous": null, …}
    → [{"check": "secrets", "rule": "aws-access-key", "severity": "critical", "file": "main.py", "line": 3, …}]

Whatever a source does to its parser, it does it here: to an interpreter without a network, without files but the
source, with little memory, whose end is an error of the check and of nothing else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from plugins_registry.inspection import (
    go_rules,
    hygiene,
    licence_rules,
    manifest_rules,
    pin_rules,
    python_rules,
    secret_rules,
    vendored,
)
from plugins_registry.inspection.findings import Finding, capped
from plugins_registry.inspection.source_tree import SourceTree

Order = dict[str, Any]
_CHECKS: dict[str, Callable[[SourceTree, Order], Iterable[Finding]]] = {
    manifest_rules.CHECK: lambda tree, order: manifest_rules.check(
        tree, _tree(order["previous"]), tuple(order["expected"]) if order["expected"] else None
    ),
    hygiene.CHECK: lambda tree, order: hygiene.check(tree, order["runtime"]),
    python_rules.CHECK: lambda tree, order: python_rules.check(tree, order["permissions"]),
    go_rules.CHECK: lambda tree, order: go_rules.check(
        tree, order["permissions"], vendored.sdk_files(tree, _path(order["sdk"]))
    ),
    secret_rules.CHECK: lambda tree, _: secret_rules.check(tree),
    licence_rules.CHECK: lambda tree, order: licence_rules.check(tree, order["license"]),
    pin_rules.CHECK: lambda tree, order: pin_rules.check(tree, order["runtime"]),
    vendored.CHECK: lambda tree, order: vendored.check(tree, _path(order["cache"]), _path(order["sdk"])),
}


def main() -> None:
    order: Order = json.load(sys.stdin)
    found = _CHECKS[order["check"]](SourceTree(Path(order["source"])), order)
    kept = capped(order["check"], list(found))
    json.dump([asdict(each) for each in kept], sys.stdout, ensure_ascii=True)


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _tree(text: str | None) -> SourceTree | None:
    return SourceTree(Path(text)) if text else None
