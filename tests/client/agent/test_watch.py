"""When a journal is looked at again: what had not settled at one look is seen at the next, however late that comes."""

from __future__ import annotations

from pathlib import Path

import pytest
from km_client.agent import watch


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The moment, as the only element: set it."""
    moment = [100.0]
    monkeypatch.setattr("km_client.agent.watch.time.monotonic", lambda: moment[0])
    return moment


@pytest.mark.parametrize("pause", [0.01, watch.RESTLESS_SECONDS, 30.0])
def test_a_change_is_followed_by_another_look_whatever_the_pause(tmp_path: Path, at: list[float], pause: float) -> None:
    watched = watch.Watch(tmp_path)
    (tmp_path / "request-00000001.kmj").write_bytes(b"record")
    assert watched.has_news()
    at[0] += pause
    assert watched.has_news()


def test_a_quiet_session_is_left_alone(tmp_path: Path, at: list[float]) -> None:
    watched = watch.Watch(tmp_path)
    (tmp_path / "request-00000001.kmj").write_bytes(b"record")
    for _ in range(6):
        watched.has_news()
        at[0] += 0.1
    assert not watched.has_news()
    (tmp_path / "request-00000001.kmj").write_bytes(b"record record")
    assert watched.has_news()
