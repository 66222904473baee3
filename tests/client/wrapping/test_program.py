"""The path of km-client in another program's configuration is absolute, and of something that lasts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from km_client.errors import ClientError
from km_client.wrapping import program

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="programs have other names there")


def install(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def nothing_beside_this_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("km_client.wrapping.program.sysconfig.get_path", lambda _: str(tmp_path / "none"))


def test_the_link_that_pipx_makes_is_kept(tmp_path: Path) -> None:
    real = install(tmp_path / "pipx/venvs/km-client/bin/km-client")
    link = tmp_path / "bin/km-client"
    link.parent.mkdir()
    link.symlink_to(real)
    assert program.find("km-client", {"PATH": str(link.parent)}) == (str(link), False)
    assert program.find(str(link), {"PATH": ""}) == (str(link), False)


def test_a_relative_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = install(tmp_path / "venv/bin/km-client")
    monkeypatch.chdir(tmp_path)
    assert program.find("venv/bin/km-client", {}) == (str(path), False)


@pytest.mark.parametrize(
    "place", ["uv/archive-v0/x1/bin/km-client", "uv/environments-v2/x1/bin/km", "pipx/.cache/7a/bin/km-client"]
)
def test_a_temporary_one_is_said_to_be_so_unless_another_is_installed(tmp_path: Path, place: str) -> None:
    cached = install(tmp_path / "cache" / place)
    assert program.find(str(cached), {"PATH": str(cached.parent)}) == (str(cached), True)
    lasting = install(tmp_path / "bin/km-client")
    path = f"{cached.parent}:{lasting.parent}"
    assert program.find(str(cached), {"PATH": path}) == (str(lasting), False)


def test_uvs_cache_may_be_anywhere(tmp_path: Path) -> None:
    cached = install(tmp_path / "elsewhere/v1/bin/km-client")
    assert program.find(str(cached), {"UV_CACHE_DIR": str(tmp_path / "elsewhere")}).is_temporary


def test_a_program_that_is_not_installed_cannot_be_named() -> None:
    with pytest.raises(ClientError) as raised:
        program.find("/usr/lib/python/pytest/__main__.py", {"PATH": ""})
    assert raised.value.code == "no_program" and "pipx install" in raised.value.hint
