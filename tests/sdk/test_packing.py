"""`km-client plugin build --package`: one file, the same for the same source, with what runs in it and nothing else."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import subprocess
import zipfile
from argparse import ArgumentParser
from pathlib import Path

import pytest
from km_client.commands import plugin
from km_client.errors import ClientError
from km_plugin_sdk.packing import Packed, pack
from km_plugin_sdk.project import create
from km_protocol.kmpkg import package

from tests.sdk.go_toolchain import CACHES, HAS_GO, ROOT

needs_go = pytest.mark.skipif(not HAS_GO, reason="Go is not installed")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return create("slow-tools", "python", into=tmp_path)


def held(packed: Packed) -> dict[str, bytes]:
    """What anybody's reader finds in it."""
    with zipfile.ZipFile(packed.path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def build(*arguments: str | Path) -> int:
    parser = ArgumentParser()
    plugin.add_arguments(parser)
    return plugin.run(parser.parse_args(["build", *map(str, arguments)]))


def test_the_command_says_where_it_is_and_what_it_is(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build("--package", project) == 0
    said = capsys.readouterr().out
    (made,) = (project / "dist").iterdir()
    data = made.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    assert made.name == f"km-plugin-slow-tools-{sha256[:12]}.kmpkg"
    digest = package.payload_digest(package.open_package(io.BytesIO(data)).listing())
    for told in (str(made), sha256, digest, f"{len(data):,} bytes", "signed:         no"):
        assert told in said
    assert re.search(r"\b\d+ files", said)


def test_it_holds_the_manifest_byte_for_byte_and_the_sources(project: Path) -> None:
    files = held(pack(project))
    assert files["km/manifest.json"] == (project / "manifest.json").read_bytes()
    assert files["payload/main.py"] == (project / "main.py").read_bytes()
    assert set(files) == {
        "km/manifest.json",
        *(f"payload/{name}" for name in ("README.md", "main.py", "plugin.py", "pyproject.toml")),
    }


def test_what_no_plugin_needs_to_run_stays_out(project: Path) -> None:
    plain = pack(project)
    for name in (
        ".git/config",
        ".env",
        ".venv/pyvenv.cfg",
        "environment/pyvenv.cfg",
        "environment/lib/x.py",
        "__pycache__/main.cpython-311.pyc",
        "lib/__pycache__/x.pyc",
        "tests/test_more.py",
        "dist/older.kmpkg",
        "site/bin/tool",
    ):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("junk")
    (project / ".venv" / "python").symlink_to("/usr/bin/python3")
    assert pack(project).sha256 == plain.sha256


def test_what_it_brings_along_is_in_it_with_hidden_libraries(project: Path) -> None:
    for name in ("site/thing/tests/data.txt", "site/thing/.dylibs/libx.dylib", "package/code.py"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("1")
    assert {
        "payload/site/thing/tests/data.txt",
        "payload/site/thing/.dylibs/libx.dylib",
        "payload/package/code.py",
    } <= set(held(pack(project)))


def test_the_same_python_source_gives_the_same_bytes_anywhere(project: Path, tmp_path: Path) -> None:
    first = pack(project)
    copy = tmp_path / "elsewhere" / "renamed"
    shutil.copytree(project, copy)
    for path in copy.rglob("*.py"):
        path.chmod(0o700)
        os.utime(path, (1, 1))
    second = pack(copy)
    assert second.path.read_bytes() == first.path.read_bytes()
    assert (second.sha256, second.payload_digest) == (first.sha256, first.payload_digest)


@needs_go
def test_the_same_go_source_gives_the_same_bytes_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the manifest does not ask for `-trimpath`, and at another commit."""
    for name, value in CACHES.items():
        monkeypatch.setenv(name, value)
    project = create("swift-tools", "go", into=tmp_path)
    text = (project / "manifest.json").read_text()
    (project / "manifest.json").write_text(text.replace(', "-trimpath"', ""))
    first = pack(project)
    copy = tmp_path / "elsewhere" / "renamed"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("dist", "swift-tools"))
    _commit(copy)
    second = pack(copy)
    assert second.path.read_bytes() == first.path.read_bytes()
    assert set(held(first)) == {"km/manifest.json", "payload/swift-tools"}


def _commit(directory: Path) -> None:
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "One"]):
        subprocess.run(["git", *command], cwd=directory, check=True, capture_output=True)


def test_a_link_is_refused_by_name_and_nothing_is_left(project: Path) -> None:
    (project / "secrets").symlink_to(ROOT)
    with pytest.raises(ClientError, match="secrets") as caught:
        build("--package", project)
    assert caught.value.code == "project_error" and not list((project / "dist").iterdir())


def test_a_name_that_no_package_can_hold_is_refused_and_nothing_is_left(project: Path) -> None:
    (project / "aux.py").write_text("")
    with pytest.raises(ClientError, match=r"aux\.py") as caught:
        build("--package", project)
    assert caught.value.code == "package_name_reserved" and "rename" in caught.value.hint
    assert not list((project / "dist").iterdir())


def test_a_plugin_whose_entry_stays_out_is_refused(project: Path) -> None:
    text = (project / "manifest.json").read_text()
    (project / "manifest.json").write_text(text.replace('"entry": "main.py"', '"entry": "tests/main.py"'))
    shutil.copy(project / "main.py", project / "tests" / "main.py")
    with pytest.raises(ClientError) as caught:
        build("--package", project)
    assert caught.value.code == "package_entry_missing"
