"""Refused events are kept with their reasons, once each, and survive torn writes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from km_client.agent.refusals import Refusal, RefusalStore, Refused, count

from tests.client.agent.test_checkpoint import no_file_longer_than

NOW = datetime(2026, 11, 22, 15, 40, tzinfo=UTC)


def refused(name: str) -> Refused:
    return Refused(Refusal(name, "invalid_event", "bad", "fix it"), json.dumps({"id": name, "x": "y" * 100}).encode())


def kept(directory: Path) -> list[str]:
    lines = (directory / "run-1.jsonl").read_bytes().splitlines()
    found = []
    for line in lines:
        try:
            found.append(json.loads(line)["event"]["id"])
        except ValueError:
            continue
    return found


def test_an_event_is_kept_with_the_reason(tmp_path: Path) -> None:
    assert RefusalStore(tmp_path / "refused").keep("run-1", [refused("a")], at=NOW) == 1
    entry = json.loads((tmp_path / "refused" / "run-1.jsonl").read_text())
    assert (entry["code"], entry["message"], entry["hint"], entry["event"]["id"]) == (
        "invalid_event",
        "bad",
        "fix it",
        "a",
    )
    assert (tmp_path / "refused" / "run-1.jsonl").stat().st_mode & 0o777 == 0o600
    assert count(tmp_path / "refused") == 1


def test_an_event_refused_again_is_kept_once_by_this_and_the_next_agent(tmp_path: Path) -> None:
    store = RefusalStore(tmp_path)
    assert store.keep("run-1", [refused("a"), refused("b")], at=NOW) == 2
    assert store.keep("run-1", [refused("a")], at=NOW) == 0
    assert RefusalStore(tmp_path).keep("run-1", [refused("b"), refused("c")], at=NOW) == 1
    assert kept(tmp_path) == ["a", "b", "c"]


def test_a_line_torn_by_a_crash_spoils_no_other(tmp_path: Path) -> None:
    RefusalStore(tmp_path).keep("run-1", [refused("a"), refused("b")], at=NOW)
    path = tmp_path / "run-1.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    RefusalStore(tmp_path).keep("run-1", [refused("b"), refused("c")], at=NOW)
    assert kept(tmp_path) == ["a", "b", "c"]


def test_what_cannot_be_written_down_is_not_taken_for_kept(tmp_path: Path) -> None:
    store = RefusalStore(tmp_path)
    store.keep("run-1", [refused("a")], at=NOW)
    with no_file_longer_than((tmp_path / "run-1.jsonl").stat().st_size + 50), pytest.raises(OSError, match="too large"):
        store.keep("run-1", [refused("b")], at=NOW)
    assert store.keep("run-1", [refused("b")], at=NOW) == 1
    assert kept(tmp_path) == ["a", "b"]
