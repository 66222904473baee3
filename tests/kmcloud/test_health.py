"""Probes tell the truth: a service that cannot store says 503, one that stores late says so and stays in rotation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from core import shared_clock
from core.clock import now
from events.models import InboxEntry, QuarantinedEntry
from events.sweeper import WORKER, beat
from kmcloud import health


@pytest.fixture(autouse=True)
def no_proof(db: None) -> Iterator[None]:
    """A proof of an earlier test is none for this one."""
    health._Proof.at = float("-inf")
    yield
    health._Proof.at, health._Proof.seconds = float("-inf"), 0.0


@pytest.fixture(autouse=True)
def broker_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test looks at the developer's broker."""
    monkeypatch.setattr(health, "check_broker", lambda: health.Check("ok", "reachable"))


def ask(path: str) -> tuple[int, Any]:
    response = Client(SERVER_NAME="localhost").get(path)
    return response.status_code, json.loads(response.content)


def waiting_since(seconds: float) -> dict[str, Any]:
    moment = now() - timedelta(seconds=seconds)
    return {
        "customer_id": 1,
        "received_at": moment,
        "kind": "events",
        "events": 3,
        "retry_at": moment,
        "body": b"{}",
    }


def test_all_is_well() -> None:
    beat(WORKER, now=now())
    status, answer = ask("/health")
    assert (status, answer["status"]) == (200, "ok")
    assert {check["status"] for check in answer["checks"].values()} == {"ok"}
    assert answer["version"]
    assert ask("/livez") == ask("/readyz") == (200, {"status": "ok"})


def test_without_a_worker_it_is_degraded_and_still_takes_events() -> None:
    status, answer = ask("/health")
    assert (status, answer["status"], answer["checks"]["worker"]["status"]) == (200, "degraded", "degraded")
    beat(WORKER, now=now() - timedelta(minutes=5))
    _, answer = ask("/health")
    assert answer["checks"]["worker"]["age_seconds"] >= 300
    assert ask("/readyz")[0] == 200


def test_a_late_inbox_and_a_quarantine_are_told() -> None:
    beat(WORKER, now=now())
    InboxEntry.objects.create(**waiting_since(120))
    QuarantinedEntry.objects.create(**waiting_since(0), quarantined_at=now())
    status, answer = ask("/health")
    assert (status, answer["status"]) == (200, "degraded")
    inbox = answer["checks"]["inbox"]
    assert (inbox["status"], inbox["rows"], inbox["events"]) == ("degraded", 1, 3)
    assert answer["checks"]["quarantine"]["rows"] == 1


def test_a_database_that_cannot_be_written_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OperationalError("database or disk is full")

    monkeypatch.setattr(health, "beat", full)
    assert ask("/readyz") == (503, {"status": "unavailable"})
    status, answer = ask("/health")
    assert (status, answer["status"]) == (503, "unavailable")
    assert "full" not in json.dumps(answer)
    assert ask("/livez")[0] == 200


def test_writes_that_take_long_are_told_and_events_still_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "SLOW_WRITE_SECONDS", 0.0)
    status, answer = ask("/health")
    assert (status, answer["status"], answer["checks"]["database"]["status"]) == (200, "degraded", "degraded")
    assert "writes take" in answer["checks"]["database"]["detail"]
    assert ask("/readyz") == (200, {"status": "degraded"})


@pytest.mark.parametrize("days", [2, -2])
def test_a_clock_that_is_off_is_told(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    beat(WORKER, now=now())
    monkeypatch.setattr(shared_clock, "offset", lambda: timedelta(days=days))
    _, answer = ask("/health")
    assert (answer["status"], answer["checks"]["clock"]["status"]) == ("degraded", "degraded")
    assert f"{days * 86400:+d} s" in answer["checks"]["clock"]["detail"]


def test_probes_write_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[str] = []
    monkeypatch.setattr(health, "beat", lambda name, **_: writes.append(name))
    for _ in range(5):
        ask("/readyz")
    assert writes == ["web"]
