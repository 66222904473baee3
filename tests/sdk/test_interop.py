"""A Python plugin under HashiCorp's own go-plugin, with its AutoMTLS: the protocol, not our idea of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.sdk.go_toolchain import HAS_GO, run_go

pytestmark = pytest.mark.skipif(not HAS_GO, reason="Go is not installed")

PLUGIN = """
print("noise while it is imported")
from km_plugin_sdk import Plugin, serve

class P(Plugin):
    def handle_stream_event(self, event):
        print("saw", event.tool)

    def shutdown(self):
        print("the end")

serve(P())
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    directory = tmp_path_factory.mktemp("interop")
    run_go("build", "-o", str(directory / "go_host"), ".", cwd=Path(__file__).parent / "go_host")
    main = directory / "main.py"
    main.write_text(PLUGIN)
    command = [sys.executable, "-B", "-m", "km_plugin_sdk", str(main)]
    done = subprocess.run([directory / "go_host", *command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_go_plugin_runs_it_from_handshake_to_exit(report: dict[str, Any]) -> None:
    assert (report["Ping"], report["Initialize"], report["Shutdown"]) == ("", "", "")
    assert (report["SDK"], report["Handled"], report["Failed"]) == ("python/0.1.0", 6, 0)
    assert report["Exited"]


def test_go_plugin_gets_what_it_printed(report: dict[str, Any]) -> None:
    lines = report["Stdout"].splitlines()
    assert lines[0] == "noise while it is imported"
    assert lines.count("saw from_go") == 6 and lines[-1] == "the end"


def test_a_bad_token_is_refused_in_words(report: dict[str, Any]) -> None:
    assert "not a JWT" in report["Refused"]
