"""Hardware modules, in a process of their own: `softhsm_cases` says what holds of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CASES = "tests/plugins_registry/signing/softhsm_cases.py"
TIMEOUT_SECONDS = 150


def test_everything_said_of_hardware_modules_holds() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", CASES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    if "skipped" in done.stdout:
        pytest.skip(done.stdout)
    assert "3 passed" in done.stdout
