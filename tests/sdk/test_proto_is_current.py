"""The committed code that speaks the plugin contract is what scripts/generate-proto makes of sdk/proto now."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.sdk.go_toolchain import CACHES, HAS_GO, ROOT

PYTHON = Path("sdk/python/src/km_plugin_sdk/wire")
GO = Path("sdk/go/pluginv1")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("generated")
    command = [ROOT / "scripts" / "generate-proto", directory]
    done = subprocess.run(command, env=os.environ | CACHES, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return directory


def test_the_python_code_is_current(made: Path) -> None:
    names = sorted(path.name for path in (made / PYTHON).iterdir())
    assert names == sorted(path.name for path in (ROOT / PYTHON).glob("*_*.py*") if path.name != "__init__.py")
    for name in names:
        assert (made / PYTHON / name).read_text() == (ROOT / PYTHON / name).read_text(), (
            f"run scripts/generate-proto: {name}"
        )


@pytest.mark.skipif(not HAS_GO, reason="Go is not installed")
def test_the_go_code_is_current(made: Path) -> None:
    names = sorted(path.name for path in (made / GO).iterdir())
    assert names == sorted(path.name for path in (ROOT / GO).iterdir())
    for name in names:
        assert (made / GO / name).read_text() == (ROOT / GO / name).read_text(), f"run scripts/generate-proto: {name}"


def test_both_sdks_hold_the_same_golden_stream() -> None:
    python = ROOT / "sdk/python/src/km_plugin_sdk/testing/golden.jsonl"
    assert python.read_bytes() == (ROOT / "sdk/go/kmtest/golden.jsonl").read_bytes()
