"""What a plugin is built from, before it is sent: a Go plugin's modules, a Python plugin's pins."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from km_client.errors import ClientError
from km_client.registry import submission, vendoring
from km_client.registry.submission import Packed

from tests.client.commands.conftest import Km

needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="needs Go")

MODULE = """module example.com/slow-tools

go 1.24

require (
	example.com/dep v0.0.0
	example.com/other v0.0.0 // indirect
)

replace example.com/dep => ../dep

replace (
	example.com/other v0.0.0 => ../other // two of them, so that one can change
)
"""
MANIFEST = {
    "name": "slow-tools",
    "version": "1.0.0",
    "description": "Times every tool call.",
    "author": "Acme",
    "license": "MIT",
    "compatibility": {"kilometers_cli": ">=0.1.0"},
    "permissions": {"network": False, "filesystem": False, "system": False},
}


def write(top: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return top


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A Go plugin that needs two modules from outside of its directory, one of them by the other."""
    calls = 'package dep\n\nimport "example.com/other"\n\nfunc Name() string { return other.Name() }\n'
    needs = "\nrequire example.com/other v0.0.0\n"
    write(tmp_path / "dep", {"go.mod": f"module example.com/dep\n\ngo 1.24\n{needs}", "dep.go": calls})
    for name in ("other", "third"):
        code = 'package other\n\nfunc Name() string { return "other" }\n'
        write(tmp_path / name, {"go.mod": "module example.com/other\n\ngo 1.24\n", "other.go": code})
    main = 'package main\n\nimport "example.com/dep"\n\nfunc main() { println(dep.Name()) }\n'
    manifest = json.dumps(MANIFEST | {"runtime": "go", "entry": "slow-tools"})
    return write(tmp_path / "slow-tools", {"manifest.json": manifest, "go.mod": MODULE, "main.go": main})


def go(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["go", *words], cwd=project, capture_output=True, text=True, check=False)


def vendored(project: Path) -> Path:
    assert go(project, "mod", "vendor").returncode == 0
    return project


def unpacked(packed: Packed, into: Path) -> Path:
    zipfile.ZipFile(BytesIO(packed.archive)).extractall(into)
    return into


def files_of(project: Path) -> dict[str, bytes]:
    return {str(path.relative_to(project)): path.read_bytes() for path in project.rglob("*") if path.is_file()}


@needs_go
def test_what_is_not_vendored_is_vendored_for_what_is_sent_and_nowhere_else(project: Path, tmp_path: Path) -> None:
    before, told = files_of(project), list[str]()
    packed = submission.packed(project, tell=told.append)
    assert files_of(project) == before
    assert packed.is_vendored_here and "`vendor/` is missing, and `go.mod` requires 2 modules" in told[0]
    sent = unpacked(packed, tmp_path / "sent" / "alone")
    assert go(sent, "build", "-mod=vendor", ".").returncode == 0
    assert submission.packed(project).sha256 == packed.sha256


@needs_go
def test_what_is_vendored_is_sent_as_it_is(project: Path) -> None:
    vendored(project)
    packed = submission.packed(project, vendor=False)
    assert not packed.is_vendored_here and "vendor/modules.txt" in packed.files


@needs_go
def test_what_is_vendored_and_not_needed_any_more_is_not_sent(project: Path) -> None:
    write(vendored(project), {"vendor/example.com/gone/gone.go": "package gone\n"})
    (project / "vendor" / "modules.txt").unlink()
    packed = submission.packed(project)
    assert "vendor/example.com/gone/gone.go" not in packed.files
    assert "vendor/example.com/dep/dep.go" in packed.files


CHANGES: dict[str, Callable[[str], str]] = {
    "nothing": lambda text: text,
    "a comment": lambda text: text + "// that is all\n",
    "another version": lambda text: text.replace("dep v0.0.0", "dep v0.1.0"),
    "another requirement": lambda text: text + "require example.com/new v1.0.0\n",
    "one requirement less": lambda text: text.replace("\texample.com/other v0.0.0 // indirect\n", ""),
    "another replacement": lambda text: text.replace("=> ../other", "=> ../third"),
    "one replacement less": lambda text: text.replace("replace example.com/dep => ../dep\n", ""),
    "a replacement of what is not needed": lambda text: text + "replace example.com/new => ../new\n",
    "the same written otherwise": lambda text: text.replace("replace (\n\t", "replace ").replace("change\n)", "change"),
}


@needs_go
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_is_stale_is_what_go_would_not_build(project: Path, change: Callable[[str], str]) -> None:
    (vendored(project) / "go.mod").write_text(change(MODULE))
    said = go(project, "list", "-mod=vendor", ".").stderr
    assert bool(vendoring.missing(project)) == ("inconsistent vendoring" in said), said


@needs_go
def test_what_is_stale_is_vendored_anew(project: Path, tmp_path: Path) -> None:
    (vendored(project) / "go.mod").write_text(MODULE.replace("=> ../other", "=> ../third"))
    packed = submission.packed(project)
    sent = unpacked(packed, tmp_path / "sent")
    assert packed.is_vendored_here and "=> ../third" in (sent / "vendor" / "modules.txt").read_text()
    assert "=> ../other" in (project / "vendor" / "modules.txt").read_text()


@needs_go
def test_a_go_mod_that_would_be_changed_is_an_error_and_is_not_changed(project: Path) -> None:
    text = MODULE.replace("\texample.com/other v0.0.0 // indirect\n", "")
    (project / "go.mod").write_text(text)
    with pytest.raises(ClientError, match=r"updates to go\.mod needed") as caught:
        submission.packed(project)
    assert "go mod tidy" in caught.value.hint
    assert (project / "go.mod").read_text() == text


def test_who_wants_nothing_run_is_told_what_to_run(project: Path, km: Km) -> None:
    done = km("plugin", "submit", "--no-vendor", "--dry-run", str(project))
    assert done.code == 1 and "`vendor/` is missing" in done.err and "run `go mod vendor`" in done.err


def test_without_go_it_says_what_is_missing_and_what_to_do(
    project: Path, tmp_path: Path, km: Km, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = km("plugin", "submit", "--dry-run", str(project))
    assert done.code == 1 and "there is no `go` on PATH" in done.err and "`go mod vendor`" in done.err


def test_what_lies_in_the_plugin_itself_needs_no_vendoring(project: Path) -> None:
    (project / "go.mod").write_text(MODULE.replace("../", "./"))
    assert vendoring.missing(project) == ""


@pytest.mark.parametrize("line", ["requests", "requests>=2", "requests==2.32.3", "-r more.txt"])
def test_a_python_requirement_without_a_hash_is_named_and_nothing_is_sent(tmp_path: Path, km: Km, line: str) -> None:
    pinned = "idna==3.10 \\\n    --hash=sha256:" + "0" * 64
    manifest = json.dumps(MANIFEST | {"runtime": "python", "entry": "main.py"})
    files = {"manifest.json": manifest, "main.py": "", "requirements.txt": f"# ours\n{pinned}\n"}
    top = write(tmp_path / "slow-tools", files)
    assert "slow-tools 1.0.0: 3 files" in km("plugin", "submit", "--dry-run", str(top)).out
    write(top, {"requirements.txt": f"# ours\n{pinned}\n{line}  # why\n"})
    done = km("plugin", "submit", "--dry-run", str(top))
    assert done.code == 1 and f"`requirements.txt`, line 4: `{line}` is no version pinned by its hash" in done.err
    assert "uv pip compile --generate-hashes requirements.in -o requirements.txt" in done.err
