"""The rules of `inside.py`, each run in a box of its own.

run("secrets", inspection)      the findings, or `ToolFailedError` when the interpreter crashed, hung or said too much
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import msgspec
from km_protocol.kmpkg.manifest import Manifest

from plugins_registry.inspection import box
from plugins_registry.inspection.errors import ToolFailedError
from plugins_registry.inspection.findings import Finding
from plugins_registry.inspection.inspection import Inspection
from plugins_registry.inspection.interpreters import runtime_of

_ROOM = Path(__file__).resolve().parent.parent  # plugins_registry
_IMPORT = "from plugins_registry.inspection.inside import main"
_START = f"import sys; sys.path.insert(0, {str(_ROOM.parent)!r}); {_IMPORT}; main()"
_LIMITS = box.Limits(seconds=60.0, memory=1024 * box.MIB, output=4 * box.MIB)


def run(check: str, inspection: Inspection) -> Iterator[Finding]:
    """Raises `ToolMissingError`, `ToolFailedError`."""
    order, places = _order(check, inspection)
    finished = box.run(
        [sys.executable, "-I", "-B", "-c", _START],
        shows=[_ROOM, *runtime_of(Path(sys.executable)), *places],
        directory=inspection.source,
        limits=_LIMITS,
        stdin=json.dumps(order).encode(),
    )
    if finished.code:
        raise ToolFailedError(f"the rules of `{check}` ended with {finished.code}: {finished.stderr}")
    yield from msgspec.json.decode(finished.stdout, type=list[Finding])


def _order(check: str, inspection: Inspection) -> tuple[dict[str, object], list[Path]]:
    manifest, surroundings = inspection.manifest, inspection.surroundings
    places = [inspection.source, *_there(inspection.previous, surroundings.module_cache, surroundings.go_sdk)]
    order: dict[str, object] = {
        "check": check,
        "source": str(inspection.source),
        "previous": _text(inspection.previous),
        "expected": list(inspection.expected) if inspection.expected else None,
        "cache": _text(surroundings.module_cache),
        "sdk": _text(surroundings.go_sdk),
    }
    return order | _facts(manifest), places


def _facts(manifest: Manifest | None) -> dict[str, object]:
    """Without a manifest nothing is permitted."""
    if manifest is None:
        return {"runtime": "", "permissions": {}, "license": ""}
    return {
        "runtime": manifest.runtime,
        "permissions": asdict(manifest.permissions),
        "license": manifest.license,
    }


def _there(*paths: Path | None) -> list[Path]:
    return [path for path in paths if path is not None]


def _text(path: Path | None) -> str | None:
    return str(path) if path else None
