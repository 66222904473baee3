"""Each test has its own config and data directory, and recordings that end with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.agent.recorder import Recorded
from tests.fakes.ingest_server import IngestServer

Record = Callable[..., Recorded]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This test's own machine: `config`, `data` and `home` below the directory it gives."""
    (tmp_path / "home").mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KM_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("KM_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def record(machine: Path) -> Iterator[Record]:
    """`record("run-1", local_only=True)`: a new, living session in the journal directory."""
    made: list[Recorded] = []

    def start(run: str = "run-1", **session: Any) -> Recorded:
        made.append(Recorded(machine / "data" / "journal" / run, **session))
        return made[-1]

    yield start
    for session in made:
        session.die()


@pytest.fixture
def server() -> Iterator[IngestServer]:
    with IngestServer() as running:
        yield running
