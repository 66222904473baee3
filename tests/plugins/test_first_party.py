"""The first-party plugins and the template: valid manifests, checked types, and within the permissions they declare."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from km_plugin_sdk.testing import PluginProcess, golden_events
from km_protocol.kmpkg import manifest as manifests

from tests.sdk.go_toolchain import HAS_GO, ROOT, run_go

PROJECTS = sorted(
    path.parent for path in [*ROOT.glob("plugins/*/manifest.json"), *ROOT.glob("sdk/templates/*/manifest.json")]
)
CACHE = ROOT / ".mypy_cache" / "plugins"  # kept: a cold run takes 20 s
PYTHON = [path for path in PROJECTS if (path / "main.py").exists()]


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_its_manifest_is_valid_and_its_settings_have_defaults(project: Path) -> None:
    manifest = manifests.parse((project / "manifest.json").read_bytes())
    assert set(manifest.settings({})) == set(manifest.configuration["properties"])
    assert manifest.name == project.name or "templates" in project.parts


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_its_readme_names_every_setting(project: Path) -> None:
    text = (project / "README.md").read_text()
    for name in manifests.parse((project / "manifest.json").read_bytes()).configuration["properties"]:
        assert f"`{name}`" in text


def test_their_types_hold_strictly() -> None:
    for project in PYTHON:
        command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--cache-dir", str(CACHE), "."]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not HAS_GO, reason="Go is not installed")
def test_tool_stats_sums_up_a_session(tmp_path: Path) -> None:
    run_go("build", "-o", str(tmp_path / "tool-stats"), ".", cwd=ROOT / "plugins/tool-stats")
    state = tmp_path / "state"
    state.mkdir()
    with PluginProcess([str(tmp_path / "tool-stats")]) as process:
        enterprise = {"features": ["advanced_analytics"], "tier": "Enterprise", "state_dir": str(state)}
        assert process.initialize("tool-stats", **enterprise).success
        assert process.feed(golden_events(repeat=10)) == 0
        downgraded = process.update_config("tool-stats", state_dir=str(state))
        assert not downgraded.success and "feature not available: advanced_analytics" in downgraded.error
        assert process.feed(golden_events()) == 0
    assert '"calls": 30' in (state / "summary.json").read_text()
    assert "advanced_analytics is not available on the Free tier" in process.errors
