"""`km-client plugin new|validate|build`: what an author types first must work at once, also from an installed wheel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from argparse import ArgumentParser
from pathlib import Path

import pytest
from km_client.commands import plugin
from km_client.errors import ClientError
from km_plugin_sdk.project import create, go_build_command, read_manifest
from km_plugin_sdk.testing import PluginProcess, golden_events

from tests.sdk.go_toolchain import CACHES, HAS_GO, ONCE, ROOT, run_go

needs_go = pytest.mark.skipif(not HAS_GO, reason="Go is not installed")


def run(*arguments: str | Path) -> int:
    parser = ArgumentParser()
    plugin.add_arguments(parser)
    return plugin.run(parser.parse_args([str(argument) for argument in arguments]))


def test_a_new_python_plugin_passes_its_tests_builds_and_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("new", "--lang", "python", "slow-tools", "--directory", tmp_path) == 0
    project = tmp_path / "slow-tools"
    assert "SlowToolsPlugin" in (project / "plugin.py").read_text()
    env = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # an author has pytest, not this suite's plugins
    command = [sys.executable, "-m", "pytest", "-q"]
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "3 passed" in done.stdout, done.stdout
    assert run("build", project) == 0 and run("validate", project) == 0
    assert "the manifest is valid" in capsys.readouterr().out
    with PluginProcess([sys.executable, "-B", "-m", "km_plugin_sdk", str(project / "main.py")]) as process:
        assert process.initialize("slow-tools").success and process.feed(golden_events()) == 0


@needs_go
def test_a_new_go_plugin_passes_its_tests_builds_and_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (CACHES | ONCE).items():
        monkeypatch.setenv(name, value)
    assert run("new", "--lang", "go", "slow-linux-test", "--directory", tmp_path) == 0
    project = tmp_path / "slow-linux-test"
    run_go("test", "./...", cwd=project)
    assert run("build", project) == 0
    with PluginProcess([str(project / "slow-linux-test")]) as process:
        assert process.initialize("slow-linux-test", custom_settings={"slow_ms": 50}).success
        assert process.feed(golden_events()) == 0
    assert process.exit_code == 0 and "git_log took 1250 ms" in process.errors + process.output


def test_a_go_plugin_cannot_be_called_like_a_directory_of_its_project(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="also the name of a directory"):
        run("new", "--lang", "go", "plugin", "--directory", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "Slow", "../evil", "a_b", "-a", "a--b", "x" * 65, "ü"])
def test_a_name_that_is_none_makes_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(ClientError, match="not a plugin's name"):
        run("new", "--lang", "python", "--directory", tmp_path, "--", name)
    assert not list(tmp_path.iterdir())


def test_an_existing_directory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(ClientError, match="exists already"):
        run("new", "--lang", "go", "mine", "--directory", tmp_path)
    assert not list((tmp_path / "mine").iterdir())


def test_validate_says_everything_at_once_and_exits_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "X", "permissions": {"netwrok": true}}')
    assert run("validate", tmp_path) == 1
    said = capsys.readouterr().out
    assert "$.name: `X` is not of the right form" in said and "hint: did you mean `network`?" in said
    assert "7 problems" in said
    assert run("validate", tmp_path, "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["valid"] is False
    hints = {problem["path"]: problem["hint"] for problem in answer["problems"]}
    assert hints["$.permissions.netwrok"] == "did you mean `network`?" and len(hints) == 7


def test_validate_warns_of_what_will_not_run_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = create("later", "go", into=tmp_path)
    manifest = json.loads((project / "manifest.json").read_text())
    manifest["compatibility"]["kilometers_cli"] = ">=99"
    (project / "manifest.json").write_text(json.dumps(manifest))
    assert run("validate", project, "--json") == 0
    warnings = json.loads(capsys.readouterr().out)["warnings"]
    assert "leaves out this km-client" in warnings[0] and "is not there yet" in warnings[1]


def test_a_directory_without_a_manifest_is_named(tmp_path: Path) -> None:
    for action in ("validate", "build"):
        with pytest.raises(ClientError, match=r"manifest\.json"):
            run(action, tmp_path)


def test_a_build_that_fails_says_what_the_toolchain_said(tmp_path: Path) -> None:
    project = create("broken", "python", into=tmp_path)
    (project / "plugin.py").write_text("def broken(:\n")
    with pytest.raises(ClientError, match="SyntaxError"):
        run("build", project)


def test_debug_symbols_replace_the_flags_that_strip_them(tmp_path: Path) -> None:
    project = create("debugged", "go", into=tmp_path)
    assert go_build_command(read_manifest(project)) == [
        "go",
        "build",
        "-ldflags",
        "-s -w",
        "-trimpath",
        "-o",
        "debugged",
        ".",
    ]
    text = (project / "manifest.json").read_text().replace('"debug_symbols": false', '"debug_symbols": true')
    (project / "manifest.json").write_text(text)
    assert go_build_command(read_manifest(project))[2:4] == ["-gcflags", "all=-N -l"]


def test_an_installed_wheel_holds_the_templates_and_the_go_sdk(tmp_path: Path) -> None:
    build = ["uv", "build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--offline", "--quiet"]
    done = subprocess.run(
        [*build, "--out-dir", tmp_path, ROOT / "sdk/python"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    script = (
        "import sys; from pathlib import Path; from km_plugin_sdk import project; print(project.__file__)\n"
        "for name in ('go', 'python'): project.create(name, name, into=Path(sys.argv[1]))"
    )
    env = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    made = tmp_path / "made"
    made.mkdir()
    done = subprocess.run([sys.executable, "-c", script, made], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path / "site"))
    for path in (
        "go/go.mod",
        "go/.gitignore",
        "go/kilometers-sdk/kmtest/golden.jsonl",
        "go/kilometers-sdk/go.mod",
        "python/main.py",
        "python/tests/test_plugin.py",
    ):
        assert (made / path).is_file(), path
