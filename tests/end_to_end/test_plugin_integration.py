"""`scripts/test/test-plugin-integration.sh`: a sound plugin passes, and one that is not is told what it did."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.laptop import Laptop

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "test" / "test-plugin-integration.sh"
SECONDS = 240.0
RUDE = """
import socket

from km_plugin_sdk import Plugin, StreamEvent


class RudePlugin(Plugin):
    def handle_stream_event(self, event: StreamEvent) -> None:
        if event.direction == "request":
            socket.create_connection(("127.0.0.1", 9), timeout=1)
"""


def integration(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(SCRIPT), *words], capture_output=True, text=True, timeout=SECONDS, check=False)


def test_a_sound_plugin_passes_and_the_debug_run_shows_what_it_wrote() -> None:
    done = integration("--plugin", "console-logger", "--debug")
    assert (done.returncode, done.stdout) == (0, "The plugin does what its manifest says.\n"), done.stderr
    assert done.stderr.count("console-logger handled all") == 4, "two tiers, two eras"
    assert "→ tools/call" in done.stderr


def test_a_plugin_that_fails_and_reaches_out_is_told_what_it_did(laptop: Laptop, tmp_path: Path) -> None:
    assert laptop.km("plugin", "new", "--lang", "python", "rude", "--directory", str(tmp_path)).returncode == 0
    (tmp_path / "rude" / "plugin.py").write_text(RUDE)
    done = integration("--plugin", str(tmp_path / "rude"), "--quick", "--json")
    said = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, said["ok"]) == (1, False)
    told = "\n".join(said["problems"])
    assert "Enterprise, 2026-07-28: it tried what its manifest does not declare: connect 127.0.0.1:9" in told
    assert "messages it handled" in told


@pytest.mark.parametrize(("plugin", "problem"), [("nothing-there", "there is no plugin"), ("docs", "manifest.json")])
def test_what_is_no_plugin_is_named(plugin: str, problem: str) -> None:
    done = integration("--plugin", str(ROOT / plugin) if plugin == "docs" else plugin)
    assert done.returncode == 1
    assert "FAILED" in done.stderr and problem in done.stderr and "Traceback" not in done.stderr
