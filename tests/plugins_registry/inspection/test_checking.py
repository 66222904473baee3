"""All checks together: our own plugins pass, an author has no say in the tools, what cannot run is never passed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings

from plugins_registry.inspection import box, checking, go_tools, linters, rule_runs
from plugins_registry.inspection.checking import Check
from plugins_registry.inspection.errors import ToolFailedError
from plugins_registry.inspection.findings import CheckResult
from plugins_registry.inspection.inspection import Inspection, Surroundings
from plugins_registry.inspection.interpreters import runtime_of
from tests.plugins_registry.inspection.sources import ROOT, grave, rules, source

GO_SDK = ROOT / "sdk" / "go"
SURROUNDINGS = checking.found(go_sdk=GO_SDK, toolchains=Path(settings.TOOLCHAIN_CACHE_DIR))
needs_namespaces = pytest.mark.skipif(not box.has_namespaces(), reason="bubblewrap is not installed, or not permitted")
Submitted = Callable[[str], Path]


def checked(place: Path, *names: str, surroundings: Surroundings = SURROUNDINGS) -> dict[str, CheckResult]:
    """By name; without `names`, all there are."""
    chosen = [each for each in (*checking.VALIDATION, *checking.SCANS) if not names or each.name in names]
    return {each.check: each for each in checking.run(place, None, surroundings=surroundings, checks=chosen)}


@pytest.fixture
def submitted(tmp_path: Path) -> Submitted:
    """A plugin of this checkout as its author would submit it: what is made is left out, modules are vendored."""

    def submit(name: str) -> Path:
        place = tmp_path / "submitted"
        shutil.copytree(
            ROOT / name, place, ignore=shutil.ignore_patterns("__pycache__", ".*", "*.pyc", "kilometers-sdk")
        )
        (place / "tool-stats").unlink(missing_ok=True)
        if (place / "go.mod").exists():
            _vendor(place)
        return place

    return submit


def _vendor(place: Path) -> None:
    """As `km-client plugin new` lays out a project, then `go mod vendor`."""
    ignored = shutil.ignore_patterns("*_test.go", "__pycache__")
    shutil.copytree(GO_SDK, place / "kilometers-sdk", ignore=ignored)
    module = place / "go.mod"
    module.write_text(re.sub(r"=> \.\./\S+", "=> ./kilometers-sdk", module.read_text()))
    done = subprocess.run(["go", "mod", "vendor"], cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@needs_namespaces
@pytest.mark.parametrize("name", ["plugins/console-logger", "plugins/api-logger", "sdk/templates/python"])
def test_our_python_plugins_and_template_pass_every_check(submitted: Submitted, name: str) -> None:
    results = checked(submitted(name))
    assert {each.check: (each.state, each.detail, grave(each.findings)) for each in results.values()} == {
        check: ("passed", "", set())
        for check in ("manifest", "hygiene", "secrets", "licence", "pins", "python_rules", "ruff", "bandit", "trial")
    }
    assert "measured" in rules(results["trial"].findings)


@needs_namespaces
@pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed")
@pytest.mark.parametrize("name", ["plugins/tool-stats", "sdk/templates/go"])
def test_our_go_plugin_and_template_have_no_grave_finding(submitted: Submitted, name: str) -> None:
    """All but what compiles, which takes half a minute; the next test has that, once."""
    names = [each.name for each in (*checking.VALIDATION, *checking.SCANS) if each.name not in {"go_vet", "trial"}]
    results = checked(submitted(name), *names)
    assert {each.check: (each.state, each.detail, grave(each.findings)) for each in results.values()} == {
        check: ("passed", "", set()) for check in names
    }


@needs_namespaces
@pytest.mark.timeout(600)  # whoever is first compiles the standard library: a minute, and more on a busy machine
@pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed")
def test_a_go_plugin_is_vetted_built_and_tried_without_a_network(submitted: Submitted) -> None:
    results = checked(submitted("plugins/tool-stats"), "go_vet", "trial")
    assert {each.check: (each.state, each.detail) for each in results.values()} == {
        "go_vet": ("passed", ""),
        "trial": ("passed", ""),
    }


@needs_namespaces
@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed")
def test_a_go_plugins_checks_begin_with_the_standard_library_of_the_service_and_compile_none(tmp_path: Path) -> None:
    code = {"main.go": "package main\n\nfunc main() { println(1) }\n", "go.mod": "module example.com/x\n\ngo 1.24\n"}
    inspection = Inspection(source(tmp_path / "a", code, "go").resolve(), None, None, None, tmp_path, SURROUNDINGS)
    assert [each for each in go_tools.listed(inspection) if each.severity != "info"] == []  # as in a scan: before it
    go_tools.run(inspection, ["build", "-trimpath", "-o", str(tmp_path / "built"), "."])
    assert (tmp_path / "built").is_file()
    kept = {path.name for path in (tmp_path / "go-build").rglob("*-d")}
    (archive,) = Path(settings.TOOLCHAIN_CACHE_DIR).glob(f"{go_tools._own_platform()}-*.tar")
    with tarfile.open(archive) as std:
        given = {Path(name).name for name in std.getnames() if name.endswith("-d")}
    assert given <= kept and len(kept - given) < 10


@needs_namespaces
def test_a_plugin_that_tries_what_it_did_not_ask_for_is_told_in_its_trial(tmp_path: Path) -> None:
    code = """
from km_plugin_sdk import Plugin, serve
class Curious(Plugin):
    def handle_stream_event(self, event):
        try:
            open("/etc/passwd").read()
        except OSError:
            pass
serve(Curious())
"""
    (trial,) = checked(source(tmp_path, {"main.py": code}), "trial").values()
    assert (trial.state, trial.detail) == ("failed", "")
    refused = [found.message for found in trial.findings if found.rule == "refused-attempt"]
    assert len(refused) == 1 and "/etc/passwd" in refused[0]


@needs_namespaces
def test_a_plugin_that_dies_in_its_trial_is_told_with_its_log(tmp_path: Path) -> None:
    (trial,) = checked(source(tmp_path, {"main.py": "raise SystemExit('no thanks')"}), "trial").values()
    assert trial.state == "failed"
    assert "no thanks" in trial.findings[0].message


def test_what_an_author_writes_into_the_source_turns_no_tool_off(tmp_path: Path) -> None:
    code = "# ruff: noqa\nimport pickle\npickle.loads(b'')  # noqa  # nosec\nexec('1')  # noqa: S102  # nosec B102\n"
    quiet = "[tool.ruff]\nexclude = ['*']\n[tool.bandit]\nskips = ['B301', 'B102']\n"
    files = {
        "main.py": "",
        "build/hidden.py": code,
        "pyproject.toml": quiet,
        "ruff.toml": "exclude = ['*']\n[lint.per-file-ignores]\n'*' = ['S']\n",
        ".bandit": "[bandit]\nskips: B301,B102\nexclude: /",
        "-f.py": code,
    }
    results = checked(source(tmp_path, files), "ruff", "bandit")
    assert {"S301", "S102"} <= grave(results["ruff"].findings)
    assert {"B301-blacklist", "B102-exec-used"} <= grave(results["bandit"].findings)
    for result in results.values():
        assert {found.file for found in result.findings} == {"build/hidden.py", "-f.py"}


def test_what_the_linters_find_in_tests_is_only_shown(tmp_path: Path) -> None:
    place = source(tmp_path, {"main.py": "", "tests/test_x.py": "exec('1')\nassert True\n"})
    results = checked(place, "ruff", "bandit")
    for result in results.values():
        assert (result.state, [found.severity for found in result.findings]) == ("passed", ["info"])


def test_a_tool_that_is_absent_is_not_run_and_never_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box, "has_namespaces", lambda: False)
    place = source(tmp_path, {"main.go": "package main", "go.mod": "module x\n"}, "go")
    results = checked(place, "ruff", "go_list", "go_vet", "trial", surroundings=Surroundings())
    assert {(each.state, each.findings) for each in results.values()} == {("not_run", ())}
    assert all(each.detail for each in results.values())
    assert set(results) == {"ruff", "go_list", "go_vet", "trial"}


def test_python_without_the_linter_leaves_it_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\necho 'No module named bandit' >&2\nexit 1\n")
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    monkeypatch.setattr(linters, "runtime_of", lambda _: (tmp_path,))
    (result,) = checked(source(tmp_path / "a", {"main.py": ""}), "bandit").values()
    assert (result.state, result.detail) == ("not_run", "`bandit` is not installed")


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        ("kill -SEGV $$", "signal 11"),
        ("while :; do echo flood; done", "printed more than"),
        ("sleep 600", "took longer than"),
        ("echo '[{\"code\": 1}]'", "is not what it used to be"),
        ("echo oh no >&2; exit 2", "oh no"),
    ],
)
def test_a_tool_that_fails_is_an_error_and_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, cause: str
) -> None:
    broken = tmp_path / "ruff"
    broken.write_text(f"#!/bin/sh\n{script}\n")
    broken.chmod(0o755)
    monkeypatch.setattr(linters, "_LIMITS", box.Limits(seconds=1.5, output=100_000))
    place = source(tmp_path / "a", {"main.py": ""})
    results = checked(place, "ruff", surroundings=replace(SURROUNDINGS, ruff=broken))
    assert (results["ruff"].state, results["ruff"].findings) == ("error", ())
    assert cause in results["ruff"].detail


def test_rules_that_crash_are_an_error_and_stop_no_other_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_: Inspection) -> list[object]:
        raise ToolFailedError("the interpreter was ended by signal 11")

    place = source(tmp_path, {"main.py": ""}).resolve()
    checks = [Check("first", crash), *(each for each in checking.SCANS if each.name == "pins")]  # type: ignore[arg-type]
    results = list(checking.run(place, None, surroundings=SURROUNDINGS, checks=checks))
    assert [(each.check, each.state) for each in results] == [("first", "error"), ("pins", "passed")]
    monkeypatch.setattr(rule_runs, "_START", "import os; os.abort()")
    (result,) = checked(place, "pins").values()
    assert result.state == "error"
    assert "signal 6" in result.detail


def test_a_source_without_a_manifest_is_checked_as_far_as_it_goes(tmp_path: Path) -> None:
    place = source(tmp_path, {"manifest.json": "{", "main.py": "eval('1')"})
    results = checked(place, "manifest", "python_rules", "trial")
    assert [each.state for each in results.values()] == ["failed", "failed", "not_run"]


def test_a_python_that_runs_the_checks_sees_no_other_room_of_the_service() -> None:
    assert not any((ROOT / "kmcloud").is_relative_to(place) for place in runtime_of(Path(sys.executable)))
