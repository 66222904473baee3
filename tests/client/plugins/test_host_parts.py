"""The host's pure parts: states, restart budget, queue, log, the event's translation."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from km_client.plugins.budget import BACK_OFF_SECONDS, RestartBudget
from km_client.plugins.event_queue import BATCH_BYTES, BATCH_EVENTS, EventQueue
from km_client.plugins.lifecycle import TRANSITIONS, Action, State, transition
from km_client.plugins.logs import MOST_BYTES, RATE_BYTES, RATE_SECONDS, PluginLog
from km_client.plugins.sandbox.attempts import LONGEST_TARGET, MOST_ROWS, AttemptLog
from km_client.plugins.stream_events import MOST_MESSAGE_BYTES, from_envelope
from km_plugin_sdk.wire import plugin_pb2
from km_protocol.envelope import Event, Party

ENDS: set[State] = {"stopped"}


def test_every_state_is_in_the_table_and_every_action_leads_to_one() -> None:
    assert set(TRANSITIONS) == set(get_args(State))
    for row in TRANSITIONS.values():
        assert set(row) <= set(get_args(Action))
        assert set(row.values()) <= set(TRANSITIONS)


def test_an_action_a_state_does_not_know_is_a_mistake() -> None:
    for state, action in product(get_args(State), get_args(Action)):
        if action not in TRANSITIONS[state]:
            with pytest.raises(ValueError, match="cannot"):
                transition(state, action)


def test_every_state_can_be_stopped_or_is_the_end() -> None:
    assert all("stop" in row or "ended" in row or state in ENDS for state, row in TRANSITIONS.items())


def test_five_crashes_within_a_minute_are_the_last() -> None:
    budget = RestartBudget()
    assert [budget.after_crash(at=moment) for moment in range(5)] == [*BACK_OFF_SECONDS, None]
    assert (BACK_OFF_SECONDS[0], BACK_OFF_SECONDS[-1]) == (1.0, 30.0)


def test_a_minute_of_health_forgives_earlier_crashes() -> None:
    budget = RestartBudget()
    for moment in (0.0, 10.0, 20.0):
        budget.after_crash(at=moment)
    budget.ready(at=30.0)
    assert budget.after_crash(at=89.9) == 30.0
    budget.ready(at=100.0)
    assert budget.after_crash(at=160.0) == 1.0


def test_health_before_the_last_crash_forgives_nothing() -> None:
    budget = RestartBudget()
    budget.ready(at=0.0)
    budget.after_crash(at=1.0)
    assert [budget.after_crash(at=1000.0 * count) for count in range(1, 5)] == [3.0, 10.0, 30.0, None]


def pairs(count: int, size: int = 10) -> Iterator[tuple[plugin_pb2.StreamEvent, int]]:
    return ((plugin_pb2.StreamEvent(sequence=number), size) for number in range(count))


def test_a_queue_keeps_the_oldest_in_order_and_counts_the_rest() -> None:
    queue = EventQueue(lambda: None, most_events=100)
    queue.offer(pairs(150))
    taken = queue.take(60) + queue.take(60)
    assert [event.sequence for event in taken] == list(range(100))
    assert queue.dropped() == {"queue_full": 50}


def test_a_queue_is_bounded_in_bytes_and_wakes_once() -> None:
    woken: list[int] = []
    queue = EventQueue(lambda: woken.append(1), most_bytes=1000)
    queue.offer(pairs(20, size=100))
    queue.offer(pairs(1, size=BATCH_BYTES + 1))
    assert queue.waiting == 10
    assert woken == [1]
    assert queue.dropped() == {"queue_full": 10, "too_large": 1}


@given(st.lists(st.integers(0, BATCH_BYTES + 100), max_size=200))
def test_nothing_is_lost_or_counted_twice(sizes: list[int]) -> None:
    queue = EventQueue(lambda: None)
    queue.offer((plugin_pb2.StreamEvent(sequence=number), size) for number, size in enumerate(sizes))
    taken: list[int] = []
    while batch := queue.take():
        assert len(batch) <= BATCH_EVENTS
        assert sum(sizes[event.sequence] for event in batch) <= BATCH_BYTES
        taken += [event.sequence for event in batch]
    assert taken == sorted(taken)
    assert len(taken) + sum(queue.dropped().values()) == len(sizes)


def test_a_log_is_rotated_capped_private_and_safe_to_show(tmp_path: Path) -> None:
    now = [0.0]
    log = PluginLog(tmp_path / "log" / "p.log", lambda: now[0])
    log.feed("stderr", b"red \x1b[31malarm\npart")
    log.feed("stderr", b"ial\n")
    for _ in range(60):
        now[0] += RATE_SECONDS
        log.feed("stdout", b"x" * 99 + b"\n" * 1 + (b"y" * 99 + b"\n") * 1000)
    log.close()
    first = (tmp_path / "log" / "p.log.1").read_text()
    assert "\x1b" not in first + log.path.read_text()
    assert {file.stat().st_mode & 0o777 for file in log.path.parent.iterdir()} == {0o600}
    assert sum(file.stat().st_size for file in log.path.parent.iterdir()) <= 2 * MOST_BYTES


def test_a_flood_is_counted_and_the_next_quiet_line_is_kept(tmp_path: Path) -> None:
    now = [0.0]
    log = PluginLog(tmp_path / "p.log", lambda: now[0])
    for _ in range(100):
        log.feed("stderr", (b"z" * 1023 + b"\n") * 64)
    now[0] = RATE_SECONDS + 1
    log.feed("stderr", b"calm again\n")
    log.close()
    text = log.path.read_text()
    assert len(text) < 2 * RATE_BYTES
    kept = sum(line.count("z") + 1 for line in text.splitlines() if "zzz" in line)
    assert f"{100 * 64 * 1024 - kept} bytes of output were not kept" in text
    assert text.splitlines()[-1].endswith("stderr: calm again")


def test_a_log_that_cannot_be_written_harms_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = PluginLog(tmp_path / "file" / "p.log", lambda: 0.0)
    log.note("nobody reads this")
    log.close()


def test_attempts_are_counted_told_once_and_capped() -> None:
    told: list[str] = []
    log = AttemptLog(lambda attempt: told.append(attempt.target))
    for number in range(MOST_ROWS + 50):
        log.add("openat", f"/{number}", "opening a file", number)
    log.add("openat", "/0", "opening a file", 999)
    log.add("openat", "x" * 10_000, "opening a file", 999)
    first = log.rows()[0]
    assert (first.count, first.first_ns, first.last_ns) == (2, 0, 999)
    assert (len(log.rows()), len(told), log.unlisted) == (MOST_ROWS, MOST_ROWS, 51)
    assert all(len(row.target) <= LONGEST_TARGET for row in log.rows())


def envelope(**fields: object) -> Event:
    base = {"id": "e", "timestamp": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), "type": "request"}
    return msgspec.convert(base | {"direction": "request", "message": msgspec.Raw(b"{}")} | fields, Event)


def test_a_plugin_gets_the_bytes_as_they_were_sent() -> None:
    strange = b"\x00\xff not JSON"
    as_base64 = msgspec.Raw(json.dumps(base64.b64encode(strange).decode()).encode())
    assert from_envelope(envelope(message=msgspec.Raw(b'{"a" : 1}'))).message == b'{"a" : 1}'
    assert from_envelope(envelope(message=as_base64, message_encoding="base64")).message == strange
    assert from_envelope(envelope(message=msgspec.Raw(b'"h\\u00e9"'), message_encoding="text")).message == "hé".encode()


def test_an_event_keeps_what_is_known_about_it() -> None:
    event = from_envelope(
        envelope(server_info=Party("git", "1.0"), duration_ms=0.0, tool="log", sequence=7, is_error=True)
    )
    assert event.timestamp.ToDatetime(UTC) == datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    assert (event.server_info.name, event.tool, event.sequence, event.is_error) == ("git", "log", 7, True)
    assert event.HasField("duration_ms")
    assert not event.HasField("client_info") or event.client_info.name == ""


def test_a_message_too_long_for_a_go_plugin_is_cut_and_says_so() -> None:
    long = json.dumps("x" * MOST_MESSAGE_BYTES).encode()
    event = from_envelope(envelope(message=msgspec.Raw(long)))
    assert (len(event.message), event.truncated, event.size) == (MOST_MESSAGE_BYTES, True, len(long))
