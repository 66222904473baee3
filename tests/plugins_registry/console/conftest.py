"""What the tests of the reviewers' pages stand on: a registry of the test's own, and browsers of its people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.plugins_registry.console.world import World
from tests.plugins_registry.storing import moved

Browser = Callable[..., Client]


@pytest.fixture(autouse=True)
def own_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the registry's files are during the test."""
    return moved(monkeypatch, tmp_path / "registry")


@pytest.fixture
def world(db: None) -> World:
    return World()


@pytest.fixture
def browser() -> Browser:
    """A signed-in person's browser: `browser(ann)`; `csrf=True` for one whose forms must carry their token."""

    def of(user: User, *, csrf: bool = False) -> Client:
        client = Client(enforce_csrf_checks=csrf)
        client.force_login(user)
        return client

    return of
