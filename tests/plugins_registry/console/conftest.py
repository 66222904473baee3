"""What the tests of the reviewers' pages stand on: a registry of the test's own, and browsers of its people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import FileSystemStorage
from django.test import Client

from plugins_registry.models import PayloadBuild, Source
from tests.plugins_registry.console.world import World

Browser = Callable[..., Client]


@pytest.fixture(autouse=True)
def own_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The fields' storage is made when their models are: it is pointed elsewhere for the test."""
    for model in (Source, PayloadBuild):
        storage = model._meta.get_field("file").storage
        assert isinstance(storage, FileSystemStorage)
        monkeypatch.setitem(storage.__dict__, "base_location", str(tmp_path / "registry"))
        monkeypatch.setitem(storage.__dict__, "location", str(tmp_path / "registry"))
    yield tmp_path / "registry"


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
