"""Where an interpreter's own files lie, so that a box can show them and nothing else.

runtime_of(Path("/srv/km/.venv/bin/km-client"))    (/srv/km/.venv, /home/km/.pyenv/versions/3.11.7, …)
"""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path

from plugins_registry.inspection.errors import ToolMissingError

_ASK = "import json, sys; print(json.dumps([sys.prefix, sys.base_prefix, *sys.path]))"
_EVERYWHERE = (Path("/usr"), Path("/lib"), Path("/bin"))  # a box shows these anyway


def runtime_of(program: Path) -> tuple[Path, ...]:
    """Directories that `program`, an interpreter or a script of one, needs to see. Raises `ToolMissingError`."""
    return _runtime(interpreter_of(program))


def interpreter_of(program: Path) -> Path:
    """`program` itself, or what its first line says runs it."""
    try:
        with program.open("rb") as file:
            first = file.readline(4096)
    except OSError as error:
        raise ToolMissingError(f"`{program}` cannot be read: {error.strerror}") from None
    if not first.startswith(b"#!"):
        return program
    return Path(first[2:].decode(errors="replace").strip().partition(" ")[0])


@cache
def _runtime(interpreter: Path) -> tuple[Path, ...]:
    try:
        done = subprocess.run([interpreter, "-I", "-c", _ASK], capture_output=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolMissingError(f"`{interpreter}` does not start: {error}") from None
    real = interpreter.resolve()
    places = [Path(text) for text in json.loads(done.stdout) if text] + [real.parent.parent]
    return _outermost([place for place in places if place.is_dir()])


def _outermost(places: list[Path]) -> tuple[Path, ...]:
    """Without those that lie within another, or that every box has."""
    kept: list[Path] = []
    for place in sorted(set(places), key=lambda path: len(path.parts)):
        if not any(place.is_relative_to(other) for other in (*_EVERYWHERE, *kept)):
            kept.append(place)
    return tuple(kept)
