"""The commands that set everything up: they say what is missing, do it once, and wait for each other."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import environment

ROOT = Path(__file__).resolve().parent.parent


def run(*command: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/bash", *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what the set-up reads, with nothing installed."""
    for name in ("requirements", *environment.PACKAGES):
        (tmp_path / name).mkdir(parents=True)
    for name in ("demo", "dev"):
        (tmp_path / "requirements" / f"{name}.txt").write_text("example==1.0\n")
    for name in environment.PACKAGES:
        (tmp_path / name / "pyproject.toml").write_text("")
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(environment, "PYTHON", tmp_path / ".venv" / "bin" / "python")
    return tmp_path


@pytest.fixture
def installs(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sets that were installed; the installation itself asks no registry."""
    installed: list[str] = []

    def make_venv() -> None:
        environment.PYTHON.parent.mkdir(parents=True, exist_ok=True)
        environment.PYTHON.touch()

    def pip(*arguments: str) -> None:
        if "--requirement" in arguments:
            installed.append(Path(arguments[-1]).stem)

    monkeypatch.setattr(environment, "_make_venv", make_venv)
    monkeypatch.setattr(environment, "_pip", pip)
    return installed


def test_a_second_set_up_changes_nothing(installs: list[str]) -> None:
    environment.ensure("demo")
    environment.ensure("demo")
    assert installs == ["demo"]


def test_a_larger_set_satisfies_a_smaller_one(installs: list[str]) -> None:
    environment.ensure("dev")
    environment.ensure("demo")
    assert installs == ["dev"]


def test_changed_pins_are_installed(installs: list[str], workspace: Path) -> None:
    environment.ensure("demo")
    (workspace / "requirements" / "demo.txt").write_text("example==2.0\n")
    environment.ensure("demo")
    assert installs == ["demo", "demo"]


def test_two_set_ups_at_once_install_once(installs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    second_waits = threading.Event()
    install: Callable[[str], None] = environment._install

    def slow_install(which: str) -> None:
        install(which)
        assert second_waits.wait(10)

    def second() -> None:
        second_waits.set()
        environment.ensure("demo")

    monkeypatch.setattr(environment, "_install", slow_install)
    threads = [threading.Thread(target=environment.ensure, args=("demo",)), threading.Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert installs == ["demo"]


def test_an_old_python_is_refused_with_the_version_that_is_needed(tmp_path: Path) -> None:
    fake = tmp_path / "python3"
    fake.write_text('#!/bin/sh\nif [ "$1" = --version ]; then echo Python 3.9.2; exit 0; fi\nexit 1\n')
    fake.chmod(0o755)
    (tmp_path / "dirname").symlink_to("/usr/bin/dirname")
    done = run("scripts/demo", "--once", env={"PATH": str(tmp_path), "HOME": str(tmp_path)})
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stderr and "3.9.2" in done.stderr
    assert "hint:" in done.stderr


def test_a_python_without_venv_is_refused_with_the_package_to_install(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(environment.SetupError, match=r"apt install python3\.\d+-venv"):
        environment.ensure("demo")


def test_bench_lists_its_benchmarks_and_refuses_other_names() -> None:
    listed = run("scripts/bench")
    assert listed.returncode == 0
    assert "ingestion" in listed.stdout and "relay" in listed.stdout
    for name in ("no-such", "../manage", "_private"):
        refused = run("scripts/bench", name)
        assert refused.returncode == 2 and f"`{name}`" in refused.stderr


def test_every_script_explains_itself() -> None:
    for script in ("scripts/demo", "scripts/test/run", "scripts/bench"):
        done = run(script, "--help", env={**os.environ})
        assert done.returncode == 0 and "scripts/" in done.stdout, script
