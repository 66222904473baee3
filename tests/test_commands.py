"""`tests.commands`: a command that is forked is one that was started, and says so when it fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import MANAGE, ROOT, Operator

LEAVES = "import kmcloud; kmcloud.left = __import__('os').getpid(); print(hasattr(kmcloud, 'left'))"
FINDS = "import kmcloud; print(hasattr(kmcloud, 'left'), __import__('os').environ.get('SAID'))"


def shell(code: str) -> list[str]:
    return ["shell", "--verbosity", "0", "--command", code]


def test_commands_print_what_they_print_and_share_nothing_but_what_is_run_in_turn(tmp_path: Path) -> None:
    operator = Operator({**os.environ, "KM_DATA_DIR": str(tmp_path)})
    assert operator.run(shell(LEAVES), shell(FINDS), SAID="yes") == ["True\n", "True yes\n"]
    assert operator.run(shell(FINDS)) == ["False None\n"]
    alone = subprocess.run(
        [sys.executable, MANAGE, "help", "serve"],
        cwd=ROOT,
        env=operator.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert operator.run(["help", "serve"]) == [alone.stdout]


def test_a_command_that_fails_says_why_and_the_next_is_not_run(tmp_path: Path) -> None:
    operator = Operator({**os.environ, "KM_DATA_DIR": str(tmp_path)})
    marker = tmp_path / "ran"
    with pytest.raises(AssertionError, match=r"no customer|no such table"):
        operator.run(["issue_key", "--customer", "cus_nobody", "--name", "x"], shell(f"open({str(marker)!r}, 'w')"))
    assert not marker.exists()
    with pytest.raises(AssertionError, match="settings are read once"):
        operator.run(["check"], KM_PRODUCTION="true")


def test_the_process_ends_with_its_operator(tmp_path: Path) -> None:
    operator = Operator({**os.environ, "KM_DATA_DIR": str(tmp_path)})
    operator.run(["help", "serve"])
    process = operator._loaded
    assert process is not None and process.poll() is None
    del operator
    assert process.poll() == 0
