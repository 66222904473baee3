"""What the API client sends is what the server reads, and a retry is never a second event."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import msgspec
import pytest
from km_plugin_sdk import ApiClient, ApiError, Sent
from km_plugin_sdk.events import to_envelope
from km_plugin_sdk.testing import EventsApi, golden_events
from km_protocol.envelope import EventBatch, decode_events, message_text
from km_protocol.errors import EventError


@pytest.fixture
def api() -> Iterator[EventsApi]:
    with EventsApi() as api:
        yield api


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def client(api: EventsApi, pauses: list[float]) -> Iterator[ApiClient]:
    client = ApiClient(api.endpoint, "token", sleep=pauses.append)
    yield client
    client.close()


def test_the_server_reads_every_golden_message_byte_for_byte() -> None:
    events = golden_events()
    body = msgspec.json.encode(EventBatch([to_envelope(event) for event in events]))
    for event, read in zip(events, decode_events(body), strict=True):
        assert not isinstance(read, EventError), read
        text, is_base64 = message_text(read)
        assert (base64.b64decode(text) if is_base64 else text.encode()) == event.message
        assert (read.id, read.timestamp, read.duration_ms, read.tool or "") == (
            event.id,
            event.timestamp,
            event.duration_ms,
            event.tool,
        )


def test_events_arrive_and_the_answer_is_counted(api: EventsApi, client: ApiClient) -> None:
    events = golden_events()
    assert client.send(events) == Sent(accepted=len(events))
    assert client.send(events) == Sent(duplicates=len(events))
    assert len(api.events) == len(events) and set(api.tokens) == {"token"}


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_an_answer_that_may_change_is_tried_again(
    api: EventsApi, client: ApiClient, status: int, pauses: list[float]
) -> None:
    api.answers = [(status, {"Retry-After": "7"}), (status, {})]
    assert client.send(golden_events()[:1]) == Sent(accepted=1)
    assert api.requests == 3 and pauses[0] == 7.0 and 0.5 <= pauses[1] <= 1.0


def test_a_wait_that_is_longer_than_the_time_left_is_said_and_not_slept(
    api: EventsApi, client: ApiClient, pauses: list[float]
) -> None:
    api.answers = [(429, {"Retry-After": "3600"})]
    with pytest.raises(ApiError) as caught:
        client.send(golden_events()[:1])
    assert (caught.value.status, caught.value.retry_after, api.requests, pauses) == (429, 3600.0, 1, [])


@pytest.mark.parametrize("status", [400, 401, 403, 404, 302])
def test_a_final_answer_is_not_tried_again(api: EventsApi, client: ApiClient, status: int) -> None:
    api.answers = [(status, {"Location": "http://127.0.0.1:1/"})]
    with pytest.raises(ApiError, match=str(status)) as caught:
        client.send(golden_events()[:1])
    assert caught.value.status == status and api.requests == 1


def test_a_body_that_is_too_large_is_sent_in_halves(api: EventsApi, client: ApiClient) -> None:
    api.max_events = 5
    assert client.send(golden_events()) == Sent(accepted=len(golden_events()))
    assert [event["id"] for event in api.events] == [event.id for event in golden_events()]


def test_a_lone_event_that_is_too_large_is_refused(api: EventsApi, client: ApiClient) -> None:
    api.max_events = 0
    with pytest.raises(ApiError) as caught:
        client.send(golden_events()[:1])
    assert caught.value.status == 413


def test_a_server_that_is_gone_is_tried_until_the_time_is_up() -> None:
    with EventsApi() as api:
        endpoint = api.endpoint
    pauses: list[float] = []
    with pytest.raises(ApiError) as caught:
        ApiClient(endpoint, "token", sleep=pauses.append, budget=0.6).send(golden_events()[:1])
    assert caught.value.status == 0 and pauses


def test_a_broken_connection_is_made_again(api: EventsApi, client: ApiClient) -> None:
    client.send(golden_events()[:1])
    client._connection.sock.close()  # as a server does that has waited long enough
    assert client.send(golden_events()[1:2]) == Sent(accepted=1)


def test_a_renewed_token_is_used_on_the_next_try(api: EventsApi) -> None:
    tokens = iter(["first", "second"])
    client = ApiClient(api.endpoint, lambda: next(tokens), sleep=lambda _: None)
    api.answers = [(503, {})]
    client.send(golden_events()[:1])
    client.close()
    assert api.tokens == ["first", "second"]


@pytest.mark.parametrize("endpoint", ["", "api.example.com", "ftp://x", "http://api.example.com", "https://"])
def test_an_address_that_is_none_or_leaks_the_token_is_refused(endpoint: str) -> None:
    with pytest.raises(ApiError):
        ApiClient(endpoint, "token")


def test_another_servers_answer_is_not_taken_for_success(
    api: EventsApi, client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "_store", lambda _: {"hello": "world"})
    with pytest.raises(ApiError, match="not one of the Kilometers API"):
        client.send(golden_events()[:1])
