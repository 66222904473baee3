"""The load generator: it ships with the client's own code, counts truly, and is loud when something is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from km_protocol.envelope import Event

from tests.fakes.ingest_server import IngestServer

ROOT = Path(__file__).resolve().parent.parent.parent


def fleet(*options: str) -> tuple[int, dict[str, Any]]:
    """Run it; its exit code and what its last line said."""
    command = [sys.executable, "-m", "benchmarks.fleet", "--processes", "2", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return done.returncode, result


def against(server: IngestServer) -> list[str]:
    url = f"http://127.0.0.1:{server.port}"
    return [
        "--url",
        url,
        "--api-key",
        server.new_key(),
        "--clients",
        "4",
        "--seconds",
        "1",
        "--events-per-second",
        "40",
    ]


def test_what_the_fleet_recorded_is_what_an_embedded_service_stores() -> None:
    code, result = fleet("--clients", "5", "--seconds", "1.5", "--events-per-second", "60")
    assert code == 0 and result["sent_equals_stored"]
    assert result["recorded_events"] == result["acked_events"] == result["stored_events"] == 90
    assert result["lost_events"] == result["stored_twice_events"] == result["never_sent_events"] == 0
    assert result["recorded_to_stored"]["samples"] == result["recorded_to_acked"]["samples"] == 5
    assert 0 < result["event_requests"] < 90 and result["other_requests"] >= 5  # a token for each client


def test_refusals_for_now_and_lost_answers_are_shipped_again_and_stored_once() -> None:
    with IngestServer() as server:
        server.fail_next(503, retry_after="0")
        server.fail_next(429, retry_after="0")
        server.fail_next(502, after_storing=True)
        code, result = fleet(*against(server))
        assert code == 0 and result["unsettled_events"] == 0
        assert result["sent_again_events"] > 0
        assert len(server.stored) == result["recorded_events"] == result["acked_events"] == 40


def test_events_that_a_service_refuses_make_it_fail() -> None:
    def is_answer(event: Event) -> bool:
        return event.type == "response"

    with IngestServer() as server:
        server.refuses = is_answer
        code, result = fleet(*against(server))
    assert code == 1 and result["refused_events"] == 20


def test_events_that_nobody_takes_are_told_and_make_it_fail() -> None:
    with IngestServer() as server:
        options = against(server)
    code, result = fleet(*options, "--settle-seconds", "1")
    assert code == 1 and result["unsettled_events"] == result["recorded_events"] == 40
    assert any("refused" in reason for reason in result["said_while_waiting"])
