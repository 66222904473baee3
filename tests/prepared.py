"""What a run of the tests makes once, for every test to take a copy of.

    prepared.once("sqlite", make)    → <the run's directory>/sqlite, which `make(directory)` filled

Guarantees: of the workers of one run the first that asks makes it, the others wait for that one; what a maker left
half done is never found. Nobody changes what is there: copy it.
"""

from __future__ import annotations

import atexit
import fcntl
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path


class _Run:
    """Where this run keeps such things; `None` for a program that is not pytest, as a benchmark is."""

    directory: Path | None = None


def keep_in(directory: Path) -> None:
    """Have `once` keep what it makes there. It is shared by the workers of a run, and is removed by who made it."""
    directory.mkdir(exist_ok=True)
    _Run.directory = directory


def once(name: str, make: Callable[[Path], None]) -> Path:
    """The directory called `name`, filled by `make` if nobody has yet. What `make` raises is raised."""
    kept = _Run.directory or _own()
    target, begun = kept / name, kept / f"{name}.begun"
    with (kept / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go of by the kernel when its holder dies
        if not target.exists():
            shutil.rmtree(begun, ignore_errors=True)
            begun.mkdir()
            make(begun)
            begun.rename(target)
    return target


@cache
def _own() -> Path:
    """Of this process alone, gone with it."""
    directory = Path(tempfile.mkdtemp(prefix="km-prepared-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory
