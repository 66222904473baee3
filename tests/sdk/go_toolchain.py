"""Go for tests: its caches are the machine's, though every test has a home of its own.

    $ python3 tests/sdk/go_toolchain.py      compile what the tests stand on, so that no two of them do at once

The directories are asked for when this module is imported, before the tests' home takes the place of the real one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HAS_GO = shutil.which("go") is not None
MODULES = ("sdk/go", "sdk/templates/go", "plugins/tool-stats", "tests/plugins/guide_plugin", "tests/sdk/go_host")
_CACHES = ("GOCACHE", "GOMODCACHE", "GOPATH")
ONCE = {
    "CGO_ENABLED": "0",
    "GOFLAGS": "-trimpath",
}  # as packages are built: what they stand on is compiled once for all


def _caches() -> dict[str, str]:
    if not HAS_GO:
        return {}
    said = subprocess.run(["go", "env", *_CACHES], capture_output=True, text=True, check=True).stdout
    return dict(zip(_CACHES, said.splitlines(), strict=True))


CACHES = _caches()


def run_go(*arguments: str, cwd: Path) -> None:
    """`go ARGUMENTS`; what it said is the failure."""
    done = subprocess.run(
        ["go", *arguments], cwd=cwd, env=os.environ | CACHES | ONCE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__" and HAS_GO:
    for module in MODULES:
        run_go("vet", "./...", cwd=ROOT / module)
        run_go("test", "-run", "^$", "./...", cwd=ROOT / module)
