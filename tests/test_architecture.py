"""The rules of the house that a program can check: floors, names, docstrings, nothing of one machine in the tree."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SKIPPED_DIRECTORIES = {".git", ".venv", "var", "node_modules", "__pycache__", "dist", "build"}
LOCKS = [
    *sorted((ROOT / "requirements").glob("*.txt")),
    *(ROOT / "tests" / parts / "package-lock.json" for parts in ("browser", "mcp_servers")),
]


def tracked_files() -> list[Path]:
    """Every file git tracks; without git (a release archive), every file that is not made by a run."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)  # fmt: skip
    if listing.returncode == 0:
        paths = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    else:
        paths = [path for path in ROOT.rglob("*") if not SKIPPED_DIRECTORIES & set(path.relative_to(ROOT).parts)]
    return [path for path in paths if path.is_file()]


def python_modules() -> list[Path]:
    return [path for path in tracked_files() if path.suffix == ".py" and "migrations" not in path.parts]


def relative(paths: list[Path]) -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in paths)


def test_every_import_respects_the_floors() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_module_is_a_drawer_for_everything() -> None:
    drawers = {"utils", "util", "helpers", "services", "common", "constants", "misc"}
    assert not relative([path for path in python_modules() if drawers & {path.stem, *path.relative_to(ROOT).parts}])


def test_every_module_opens_with_its_promise() -> None:
    silent = [
        path
        for path in python_modules()
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not relative(silent)


def test_no_function_grows_past_sixty_lines() -> None:
    """The aim is 6 to 13; sixty is where a reader has lost the beginning."""
    long = []
    for path in python_modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > 60:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has {lines} lines")
    assert not long


def test_no_lock_names_where_packages_come_from() -> None:
    for lock in LOCKS:
        text = lock.read_text()
        assert '"resolved"' not in text, f"{lock.name} holds resolved addresses: see the .npmrc beside it"
        assert "--index-url" not in text and "--find-links" not in text, f"{lock.name} names an index"


def test_every_pinned_requirement_has_a_hash() -> None:
    for lock in LOCKS:
        if lock.suffix == ".txt":
            pins = re.split(r"\n(?=\S)", lock.read_text().strip())
            assert not [pin.split()[0] for pin in pins if not pin.startswith("#") and "--hash=sha256:" not in pin]


def test_no_tracked_file_names_a_registry_host_or_a_path_of_one_machine() -> None:
    # Spelled in parts, so that this file does not name them either.
    hosts = [r"pypi\.org/simple", r"files\.pythonhosted" + r"\.org", r"registry\.npmjs" + r"\.org"]
    places = [r"(?<![\w.])/root" + "/", r"(?<![\w.])/work" + "/", "/opt" + "/wheels", re.escape(str(ROOT)) + "/"]
    pattern = re.compile("|".join([*hosts, *places]))
    found = []
    for path in tracked_files():
        if path.suffix in {".png", ".woff2", ".ico", ".svg"}:
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if match := pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {match.group(0)}")
    assert not found


SHELL_SCRIPTS = sorted(path for path in ROOT.glob("scripts/*") if path.is_file() and path.suffix == "")


@pytest.mark.parametrize("path", SHELL_SCRIPTS, ids=lambda path: path.name)
def test_every_shell_script_parses(path: Path) -> None:
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0
