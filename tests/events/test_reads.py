"""What a key may read over HTTP: its own customer's events and sums, page by page."""

from __future__ import annotations

import json

import pytest

from customers.models import ApiKey
from tests.events.samples import Sender, a_call, an_event, answer_of, code_of, drain_everything


def test_activity_is_ones_own_newest_first_page_by_page(sender: Sender, stranger: Sender) -> None:
    events = [an_event() for _ in range(5)]
    answer_of(sender.post(events))
    answer_of(stranger.post([an_event()]))
    drain_everything()
    seen, cursor = [], ""
    while True:
        answer = answer_of(sender.get("/api/activity", limit=2, cursor=cursor))
        seen += [event["id"] for event in answer["events"]]
        cursor = answer["next"]
        if cursor is None:
            break
    assert seen == sorted((event["id"] for event in events), reverse=True)


def test_an_event_shows_its_message_and_who_took_part(sender: Sender) -> None:
    answer_of(sender.post(a_call("c1")))
    drain_everything()
    (event,) = answer_of(sender.get("/api/activity", type="response"))["events"]
    assert json.loads(event["message"]) == {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert (event["message_encoding"], event["message_complete"], event["duration_ms"]) == ("text", True, 12.5)
    assert event["server_info"] == {"name": "git", "version": "1.2.0"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"limit": "0"}, "invalid_limit"),
        ({"limit": "many"}, "invalid_limit"),
        ({"cursor": "!"}, "invalid_cursor"),
        ({"errors": "maybe"}, "invalid_request"),
        ({"since": "yesterday"}, "invalid_request"),
        ({"until": "2026-11-22"}, "invalid_request"),
        ({"tool": "a\0"}, "invalid_request"),
    ],
)
def test_a_bad_question_is_refused_by_name(sender: Sender, query: dict[str, str], code: str) -> None:
    assert code_of(sender.get("/api/activity", **query)) == (400, code)


def test_times_narrow_activity(sender: Sender) -> None:
    answer_of(sender.post([an_event()]))
    drain_everything()
    assert answer_of(sender.get("/api/activity", since="2024-01-01T00:00:00Z", errors="false"))["events"]
    assert not answer_of(sender.get("/api/activity", until="1950-01-01T00:00:00Z"))["events"]
    assert not answer_of(sender.get("/api/activity", since="9999-12-31T00:00:00Z"))["events"]


def test_stats_tell_what_is_stored_what_waits_and_what_is_left(limited: Sender) -> None:
    events = a_call("c1", size=50)
    answer_of(limited.post(events))
    drain_everything()
    answer_of(limited.post([*events, an_event()]))
    limited.post([an_event() for _ in range(9)])
    stats = answer_of(limited.get("/api/stats"))
    assert stats["today"] == {"events": 2, "requests": 1, "errors": 0, "bytes": 100, "sessions": 1}
    assert stats["last_24_hours"]["events"] == stats["last_7_days"]["events"] == 2
    assert (stats["duplicates_today"], stats["refused_today"]) == (2, 9)
    assert (stats["inbox"]["requests"], stats["inbox"]["events"]) == (1, 1)
    quota = stats["quota"]
    assert (quota["limit"], quota["used"], quota["remaining"]) == (10, 3, 7)
    assert quota["resets_at"].endswith("T00:00:00Z")


def test_stats_of_nothing_are_zeros(sender: Sender) -> None:
    stats = answer_of(sender.get("/api/stats"))
    assert stats["today"]["events"] == 0
    assert (stats["quota"]["limit"], stats["quota"]["remaining"], stats["inbox"]["oldest_at"]) == (None, None, None)


@pytest.mark.parametrize("path", ["/api/activity", "/api/stats"])
def test_a_key_that_may_only_send_cannot_read(sender: Sender, path: str) -> None:
    ApiKey.objects.update(scopes=["events:write"])
    assert code_of(sender.get(path)) == (403, "missing_scope")


@pytest.mark.parametrize("path", ["/api/activity", "/api/stats"])
def test_without_a_key_nothing_is_read(sender: Sender, path: str) -> None:
    sender.key = "nobody"
    assert sender.get(path).status_code == 401
