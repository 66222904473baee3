"""What is sent is judged at once: good events durable before the 200, bad ones named by index, everything else 4xx."""

from __future__ import annotations

import base64
import gzip
import json
import tracemalloc
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import pytest
import zstandard
from django.db import OperationalError
from django.test import Client
from km_protocol.envelope import MAX_BODY_BYTES, MAX_EVENTS_PER_BATCH, MAX_INFLATED_BYTES

from core.clock import now
from customers import api_keys
from customers.models import ApiKey
from events import inbox
from events.models import Event, InboxEntry
from tests.events.conftest import Doorbell
from tests.events.samples import Sender, an_event, answer_of, body_of, code_of, drain_everything, waiting

ZEROS = 200 * 1024 * 1024


def test_a_batch_is_one_inbox_row_before_the_answer(sender: Sender, doorbell: Doorbell) -> None:
    body = body_of([an_event(), an_event()])
    answer = answer_of(sender.post(body))
    assert answer == {"success": True, "accepted": 2, "duplicates": 0, "rejected": []}
    row = InboxEntry.objects.get()
    assert (bytes(row.body), row.events, row.encoding, row.kind) == (body, 2, "", "events")
    assert doorbell.presses == 1


def test_one_event_alone_is_taken(sender: Sender) -> None:
    assert answer_of(sender.post(an_event()))["accepted"] == 1


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("zstd", zstandard.compress)]
)
def test_compressed_bodies_are_kept_as_they_came(
    sender: Sender, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    body = compress(body_of([an_event()]))
    assert answer_of(sender.post(body, **{"Content-Encoding": encoding}))["accepted"] == 1
    assert bytes(InboxEntry.objects.get().body) == body
    assert drain_everything().stored == 1


def test_a_zstd_frame_that_hides_its_size_is_inflated_exactly(sender: Sender) -> None:
    stream = zstandard.ZstdCompressor().compressobj()
    body = stream.compress(body_of([an_event()])) + stream.flush()
    assert zstandard.frame_content_size(body) == -1
    assert answer_of(sender.post(body, **{"Content-Encoding": "zstd"}))["accepted"] == 1


@pytest.mark.parametrize(
    ("encoding", "bomb"),
    [
        ("gzip", lambda: gzip.compress(bytes(ZEROS), 1)),
        ("zstd", lambda: zstandard.compress(bytes(ZEROS))),
        ("zstd", lambda: _streamed(ZEROS)),
    ],
    ids=["gzip", "zstd", "zstd of unknown size"],
)
def test_200_mb_of_zeros_stop_at_the_cap(sender: Sender, encoding: str, bomb: Callable[[], bytes]) -> None:
    body = bomb()
    assert len(body) < 1024 * 1024
    tracemalloc.start()
    try:
        response = sender.post(body, **{"Content-Encoding": encoding})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert code_of(response) == (413, "payload_too_large")
    assert peak < MAX_INFLATED_BYTES + 8 * 1024 * 1024
    assert waiting() == 0


def _streamed(size: int) -> bytes:
    stream = zstandard.ZstdCompressor().compressobj()
    return b"".join(stream.compress(bytes(1024 * 1024)) for _ in range(size >> 20)) + stream.flush()


def test_an_announced_length_over_the_cap_is_refused_before_it_is_read(sender: Sender) -> None:
    response = sender.post(b"{}", **{"Content-Length": str(MAX_BODY_BYTES + 1)})
    assert code_of(response) == (413, "payload_too_large")


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b"not gzip at all"),
        ("gzip", gzip.compress(b"{}" * 500)[:-6]),
        ("zstd", b"not zstd at all"),
        ("zstd", zstandard.compress(b"{}" * 500)[:-2]),
        ("zstd", zstandard.compress(b"{}") + b"more"),
    ],
    ids=["no gzip", "half a gzip", "no zstd", "half a zstd", "zstd and more"],
)
def test_a_body_that_is_not_what_its_encoding_says_is_refused(sender: Sender, encoding: str, body: bytes) -> None:
    assert code_of(sender.post(body, **{"Content-Encoding": encoding})) == (400, "invalid_compression")


def test_an_unknown_encoding_is_refused(sender: Sender) -> None:
    assert code_of(sender.post(b"{}", **{"Content-Encoding": "br"})) == (415, "unsupported_encoding")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nope",
        b"[]",
        b"7",
        b'{"events": 7}',
        b'{"events": [',
        b"\xff\xfe",
        b"[" * 1_000_000,
        b'{"events":' * 5_000,
    ],
    ids=["empty", "text", "array", "number", "no list", "half", "no UTF-8", "a million deep", "nested objects"],
)
def test_a_body_that_is_no_batch_is_refused_as_a_whole(sender: Sender, body: bytes) -> None:
    assert code_of(sender.post(body)) in {(400, "invalid_body"), (400, "invalid_event")}
    assert waiting() == 0


def test_too_many_events_are_refused_as_a_whole(sender: Sender) -> None:
    body = b'{"events": [' + b",".join([b"{}"] * (MAX_EVENTS_PER_BATCH + 1)) + b"]}"
    assert code_of(sender.post(body)) == (400, "invalid_body")


@pytest.mark.parametrize("when", ["1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z", "2026-11-22T15:40:00", "yesterday"])
def test_a_moment_no_clock_could_have_written_is_refused_alone(sender: Sender, when: str) -> None:
    assert code_of(sender.post(an_event(timestamp=when))) == (400, "invalid_event")
    answer = answer_of(sender.post([an_event(), an_event(timestamp=when), an_event()]))
    assert (answer["accepted"], [bad["index"] for bad in answer["rejected"]]) == (2, [1])


def test_one_bad_event_does_not_lose_the_others(sender: Sender) -> None:
    bad = an_event(type="telepathy")
    answer = answer_of(sender.post([an_event(), bad, an_event(), {"id": 7}]))
    assert answer["accepted"] == 2
    assert [(each["index"], each["id"], each["code"]) for each in answer["rejected"]] == [
        (1, bad["id"], "invalid_event"),
        (3, "", "invalid_event"),
    ]
    assert all(each["message"] for each in answer["rejected"])
    assert drain_everything().stored == 2


def test_a_batch_of_bad_events_is_answered_with_their_reasons_and_keeps_nothing(sender: Sender) -> None:
    answer = answer_of(sender.post([{"id": "a"}, {"id": "b"}]))
    assert (answer["accepted"], len(answer["rejected"]), waiting()) == (0, 2, 0)


def test_text_that_no_column_holds_is_refused_by_name(sender: Sender) -> None:
    answer = answer_of(sender.post([an_event(session_id="a\0b"), an_event(server_info={"name": "a\0"}), an_event()]))
    assert answer["accepted"] == 1
    assert "`session_id`" in answer["rejected"][0]["message"]
    assert "`server_info.name`" in answer["rejected"][1]["message"]


@pytest.mark.parametrize("message", [r'{"a": "\u0000"}', r'{"a":  1.0, "b": [ ]}', '"just text"', "[1, 2]", "-0.0"])
def test_a_message_is_kept_byte_for_byte(sender: Sender, message: str) -> None:
    event = json.dumps(an_event(message="HERE")).replace('"HERE"', message)
    answer_of(sender.post(f'{{"events": [{event}]}}'.encode()))
    drain_everything()
    assert Event.objects.get().message == message


def test_bytes_that_are_no_text_are_kept_as_base64(sender: Sender) -> None:
    encoded = base64.b64encode(b"\xff\0\n").decode()
    answer_of(sender.post([an_event(message=encoded, message_encoding="base64")]))
    drain_everything()
    stored = Event.objects.get()
    assert (stored.message, stored.is_base64) == (encoded, True)


@pytest.mark.parametrize(
    ("bad", "where"),
    [
        ({"message": "!", "message_encoding": "base64"}, "base64"),
        ({"message": 7, "message_encoding": "text"}, "string"),
        ({"surprise": 1}, "surprise"),
        ({"id": ""}, "id"),
    ],
)
def test_a_refusal_names_what_is_wrong(sender: Sender, bad: dict[str, Any], where: str) -> None:
    assert where in answer_of(sender.post([an_event(**bad)]))["rejected"][0]["message"]


def test_what_is_repeated_in_a_request_counts_once(sender: Sender) -> None:
    event = an_event()
    answer = answer_of(sender.post([event, an_event(), event]))
    assert (answer["accepted"], answer["duplicates"]) == (2, 1)
    assert drain_everything().stored == 2


def test_what_is_stored_already_is_a_duplicate_and_kept_out_of_the_inbox(sender: Sender) -> None:
    events = [an_event(), an_event()]
    answer_of(sender.post(events))
    drain_everything()
    answer = answer_of(sender.post([*events, an_event()]))
    assert (answer["accepted"], answer["duplicates"]) == (1, 2)
    answer = answer_of(sender.post(events))
    assert (answer["accepted"], answer["duplicates"], waiting()) == (0, 2, 1)


def test_a_foreign_id_retried_is_a_duplicate(sender: Sender) -> None:
    event = an_event(id="evt-1", timestamp="2026-11-22T12:00:00Z")
    answer_of(sender.post([event]))
    drain_everything()
    assert answer_of(sender.post([event]))["duplicates"] == 1


def test_two_customers_may_use_the_same_id(sender: Sender, stranger: Sender) -> None:
    event = an_event()
    answer_of(sender.post([event]))
    answer_of(stranger.post([event]))
    assert drain_everything().stored == 2


def test_an_empty_batch_is_fine(sender: Sender) -> None:
    assert answer_of(sender.post([]))["accepted"] == 0
    assert waiting() == 0


def test_another_method_is_refused_with_the_one_that_works(sender: Sender) -> None:
    response = sender.get("/api/events")
    assert code_of(response) == (405, "method_not_allowed")
    assert response["Allow"] == "POST"


@pytest.mark.django_db
def test_without_a_key_nothing_is_read() -> None:
    response = Client(SERVER_NAME="localhost").post("/api/events", b"{}", content_type="application/json")
    assert code_of(response) == (401, "missing_credentials")
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_a_revoked_key_is_refused(
    sender: Sender, django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[object]]
) -> None:
    answer_of(sender.post([an_event()]))
    with django_capture_on_commit_callbacks(execute=True):
        api_keys.revoke(ApiKey.objects.get(), at=now(), actor="test")
    assert code_of(sender.post([an_event()])) == (401, "revoked_api_key")


def test_a_key_that_may_only_read_cannot_send(sender: Sender) -> None:
    ApiKey.objects.update(scopes=["events:read"])
    assert code_of(sender.post([an_event()])) == (403, "missing_scope")


def test_a_downed_database_is_503_at_a_jittered_moment(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_of(sender.post([]))

    def fail(*_: object) -> None:
        raise OperationalError("unable to open database file")

    monkeypatch.setattr(inbox._commits, "_write", fail)
    responses = [sender.post([an_event()]) for _ in range(20)]
    assert {code_of(response) for response in responses} == {(503, "unavailable")}
    assert len({response["Retry-After"] for response in responses}) > 1


def test_the_long_way_through_every_middleware_answers_the_same(sender: Sender, settings: object) -> None:
    settings.MIDDLEWARE = settings.MIDDLEWARE[1:]  # type: ignore[attr-defined]
    sender.client = Client(SERVER_NAME="localhost")
    assert answer_of(sender.post([an_event()]))["accepted"] == 1
    assert code_of(sender.post(b"nope")) == (400, "invalid_body")


def test_a_time_zone_does_not_change_the_moment(sender: Sender) -> None:
    answer_of(sender.post([an_event(timestamp="2026-11-22T13:00:00.123456+01:00", id="a")]))
    drain_everything()
    assert Event.objects.get().timestamp == datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
