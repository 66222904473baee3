"""A revocation reaches the other processes through Redis within a second, and none depends on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from core import redis_client
from core.breaker import Breaker
from customers import announcements, proofs
from tests.end_to_end.production_servers import Redis

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="Redis is not installed"),
]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """A Redis that this process uses, and looks at each time it is asked to."""
    running = Redis(tmp_path)
    running.start()
    monkeypatch.setattr(settings, "REDIS_URL", running.url)
    monkeypatch.setattr(redis_client, "breaker", Breaker(0.0))
    monkeypatch.setattr(announcements, "LOOK_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(announcements._Seen, "look_at", float("-inf"))
    announcements.look()
    yield running
    running.stop()


def test_what_another_process_revokes_is_forgotten_here_once(server: Redis) -> None:
    before = proofs.generation()
    announcements.look()
    assert proofs.generation() == before
    announcements.bump()  # as the process that revokes does
    announcements.look()
    announcements.look()
    assert proofs.generation() == before + 1


def test_between_two_looks_redis_is_not_asked(server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcements, "LOOK_EVERY_SECONDS", 3600.0)
    announcements.look()
    before = proofs.generation()
    announcements.bump()
    announcements.look()
    assert proofs.generation() == before


def test_without_redis_nothing_fails_and_the_minute_holds(server: Redis) -> None:
    server.kill()
    before = proofs.generation()
    announcements.bump()
    announcements.look()
    assert proofs.generation() == before
    assert proofs.MAX_AGE_SECONDS <= 60
