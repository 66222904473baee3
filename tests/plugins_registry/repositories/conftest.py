"""What these tests stand on: keys and packages in a directory of the test, and a registry that was founded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings

from core.clock import now
from plugins_registry.signing import signers
from tests.plugins_registry.repositories import world
from tests.plugins_registry.repositories.world import Founded
from tests.plugins_registry.storing import moved


@pytest.fixture(autouse=True)
def own_keys(tmp_path: Path, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Key files, their passphrase and packages of this test alone; nothing is sent to a worker's broker."""
    settings.SIGNER_DIR = tmp_path / "signers"
    settings.SIGNER_PASSPHRASE = "correct horse battery staple"
    settings.SIGNER_URIS = {}
    moved(monkeypatch, tmp_path / "registry")
    signers.forget()
    yield
    signers.forget()


@pytest.fixture
def registry(db: Any, tmp_path: Path) -> Founded:
    """Founded, with an empty catalog."""
    (tmp_path / "ceremonies").mkdir()
    return world.found(tmp_path / "ceremonies", at=now())
