"""A home and a machine of its own for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.commands.conftest import Km, km, machine
from tests.client.wrapping.homes import Home

__all__ = ["Km", "km", "machine"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home on Linux; nothing of this machine's own is looked at."""
    (tmp_path / "home").mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "home")
    return Home(tmp_path / "home", "linux", monkeypatch)
