"""Monitors that end with the test that started them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.client.monitored import Monitored

StartMonitor = Callable[..., Monitored]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Where this test's monitors record."""
    return tmp_path / "data"


@pytest.fixture
def monitor(data_dir: Path) -> Iterator[StartMonitor]:
    """Start a monitor: `monitor(["cat"], "--server-name", "x", env=…, stdin=…)`."""
    with ExitStack() as stack:

        def start(command: list[str | bytes], *flags: str, **options: Any) -> Monitored:
            return stack.enter_context(Monitored(command, data_dir, *flags, **options))

        yield start
