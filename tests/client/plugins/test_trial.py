"""`km-client plugin try`: the same run for an author and for the registry, told as lines or as one JSON object."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from km_client.cli import main
from km_client.plugins.sandbox.kernel import probe
from km_client.plugins.trial import try_plugin

ROOT = Path(__file__).resolve().parents[3]
PLUGIN = """
from km_plugin_sdk import Plugin, serve

class Mine(Plugin):
    def handle_stream_event(self, event):
        {body}

serve(Mine())
"""

pytestmark = pytest.mark.skipif(not probe().has_notifier, reason="this kernel does not tell what it refuses")


def plugin(place: Path, body: str) -> Path:
    shutil.copytree(ROOT / "sdk" / "templates" / "python", place / "my-plugin")
    (place / "my-plugin" / "main.py").write_text(PLUGIN.format(body=body))
    return place / "my-plugin"


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def test_a_plugin_that_does_its_work_is_well(scratch: Path) -> None:
    trial = try_plugin(ROOT / "plugins" / "console-logger", scratch=scratch)
    assert (trial.ok, trial.state, trial.handled, trial.failed, trial.dropped) == (True, "running", trial.events, 0, {})
    assert trial.events > 20
    assert trial.attempted == []
    assert trial.memory_bytes > 1_000_000


def test_events_that_a_plugin_fails_are_counted(tmp_path: Path, scratch: Path) -> None:
    trial = try_plugin(plugin(tmp_path, "event.json()"), scratch=scratch)
    assert trial.ok
    assert 0 < trial.failed < trial.events
    assert trial.handled + trial.failed == trial.events


def test_what_a_plugin_tries_and_may_not_is_named(tmp_path: Path, scratch: Path) -> None:
    body = "\n        try: open('/etc/passwd')\n        except OSError: return"
    trial = try_plugin(plugin(tmp_path, body), scratch=scratch)
    assert (trial.ok, trial.code) == (False, "refused_attempts")
    assert [attempt.target for attempt in trial.attempted] == ["/etc/passwd"]
    assert trial.attempted[0].count == trial.events


def test_a_plugin_that_dies_over_an_event_is_not_started_again(tmp_path: Path, scratch: Path) -> None:
    trial = try_plugin(plugin(tmp_path, "import os; os._exit(3)"), scratch=scratch)
    assert (trial.ok, trial.handled) == (False, 0)
    assert "exited with code 3" in trial.message
    assert trial.code == "exited"


def test_a_plugin_that_fails_at_its_first_line_is_shown_where_and_accused_of_nothing(
    tmp_path: Path, scratch: Path
) -> None:
    directory = plugin(tmp_path, "return")
    (directory / "main.py").write_text("import not_there\n")
    trial = try_plugin(directory, scratch=scratch)
    assert "No module named 'not_there'" in trial.message
    assert any(f'File "{directory / "main.py"}", line 1' in line for line in trial.log)
    assert trial.attempted == []


def test_the_command_prints_one_json_object_and_fails_for_a_plugin_that_is_not_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = plugin(tmp_path, "import os; os._exit(3)")
    assert main(["plugin", "try", str(directory), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["ok"], said["code"]) == (False, "exited")
    assert main(["plugin", "try", str(directory)]) == 1
    assert "NOT well: the plugin exited with code 3" in capsys.readouterr().out
    assert main(["plugin", "try", str(ROOT / "plugins" / "console-logger")]) == 0
    assert ": well\n" in capsys.readouterr().out
