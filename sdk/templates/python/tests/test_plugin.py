"""The plugin in this process, and as the process a host starts."""

import sys
from pathlib import Path

from km_plugin_sdk.testing import Harness, PluginProcess, golden_events
from plugin import MyPlugin

PROJECT = Path(__file__).resolve().parent.parent
MANIFEST = PROJECT / "manifest.json"


def test_slow_calls_of_the_golden_stream_are_counted() -> None:
    with Harness(MyPlugin(), manifest=MANIFEST) as harness:
        harness.initialize()
        assert harness.feed(golden_events()) == []
        assert harness.plugin.slow == 1


def test_the_setting_decides_what_is_slow() -> None:
    with Harness(MyPlugin(), manifest=MANIFEST) as harness:
        harness.initialize(custom_settings={"slow_ms": 50})
        harness.feed(golden_events())
        assert harness.plugin.slow == 2


def test_the_program_runs_under_a_host() -> None:
    with PluginProcess([sys.executable, str(PROJECT / "main.py")]) as process:
        assert process.initialize("my-plugin").success
        assert process.feed(golden_events()) == 0
        assert process.is_healthy()
    assert process.exit_code == 0
    assert "git_log took 1250 ms" in process.errors
