"""Where things are: the user's choice first, then the custom of the system; and no guess without a home."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from km_client import paths
from km_client.errors import ClientError
from km_client.proxy import session


@pytest.fixture(autouse=True)
def linux(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KM_CONFIG_DIR", "KM_DATA_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_defaults_need_nothing_but_a_home(tmp_path: Path) -> None:
    assert paths.config_file() == tmp_path / ".config/kilometers/config.toml"
    assert paths.journal_dir() == tmp_path / ".local/share/kilometers/journal"


def test_the_users_choice_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/xdg")
    assert paths.config_dir() == Path("/xdg/kilometers")
    monkeypatch.setenv("KM_CONFIG_DIR", "/chosen")
    assert paths.config_dir() == Path("/chosen")


def test_a_relative_xdg_directory_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert paths.data_dir() == tmp_path / ".local/share/kilometers"


def test_a_mac_keeps_both_where_macs_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert paths.config_dir() == paths.data_dir() == tmp_path / "Library/Application Support/kilometers"


def test_without_a_home_there_is_an_error_and_a_monitor_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    with pytest.raises(ClientError, match="home directory is unknown") as error:
        paths.data_dir()
    assert "KM_DATA_DIR" in error.value.hint
    said: list[str] = []
    assert session.journal_directory(said.append) == Path(os.devnull) / "journal"
    assert "cannot record" in said[0]
