"""Every Go module of the repository is tidy in form, passes `go vet`, and its own tests pass."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.sdk.go_toolchain import HAS_GO, MODULES, ROOT, run_go

pytestmark = pytest.mark.skipif(not HAS_GO, reason="Go is not installed")


@pytest.mark.parametrize("module", MODULES)
def test_the_module_is_sound(module: str) -> None:
    run_go("vet", "./...", cwd=ROOT / module)
    run_go("test", "./...", cwd=ROOT / module)


def test_go_code_is_formatted() -> None:
    done = subprocess.run(["gofmt", "-l", *MODULES], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not done.stdout


def test_every_go_module_is_listed_here() -> None:
    found = {path.parent.relative_to(ROOT) for path in ROOT.glob("[!.]*/**/go.mod") if "node_modules" not in path.parts}
    assert found == set(map(Path, MODULES))
