"""Whatever a server does, every event is stored once or kept as refused, and the rest is not held up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from km_client.agent import outbox as outbox_module
from km_client.agent.correlation import Relation
from km_client.agent.delivery import Delivery, Destination
from km_client.agent.events import Place, Scene, event_id, message_event
from km_client.agent.parcel import Outgoing, Parcel
from km_client.agent.refusals import RefusalStore
from km_client.agent.understanding import understand
from km_protocol.api_keys import ApiKey
from km_protocol.envelope import Event, Party

from tests.end_to_end.waiting import eventually
from tests.fakes.ingest_server import IngestServer

NOW_NS = 1_795_000_000_000_000_000
Start = Callable[..., Delivery]


def outgoing(number: int, text: str = "") -> Outgoing:
    line = json.dumps({"id": number, "method": "ping", "params": {"text": text}}).encode()
    (message,) = understand(line)
    place = Place("request", number, NOW_NS, event_id("run-1", number, NOW_NS))
    event = message_event(Scene("s", Party("git"), None), message, Relation(), at=place, size=len(line))
    return Outgoing(event.id, msgspec.json.encode(event))


def parcel(*events: Outgoing) -> Parcel:
    return Parcel("run-1", list(events), b"", {}, urgent=True)


@pytest.fixture
def waits() -> list[tuple[int, float | None]]:
    """What was waited for: (failures in a row, what the server asked for)."""
    return []


@pytest.fixture
def start(
    tmp_path: Path, server: IngestServer, waits: list[tuple[int, float | None]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Start]:
    """`start()`: a delivery to the server that waits hundredths of seconds."""
    monkeypatch.setattr(outbox_module, "BATCH_SECONDS", 0.01)
    made: list[Delivery] = []

    def delay(failures: int, least: float | None) -> float:
        waits.append((failures, least))
        return 0.02

    def begin(key: ApiKey | None = None) -> Delivery:
        destination = Destination(server.url, key or server.new_key())
        made.append(Delivery(destination, RefusalStore(tmp_path / "refused"), wake=lambda: None, delay=delay))
        made[-1].start()
        return made[-1]

    yield begin
    for delivery in made:
        delivery.stop(5.0)


def send(delivery: Delivery, *events: Outgoing) -> None:
    """Ship them and wait until they are settled."""
    sent = parcel(*events)
    delivery.outbox.put(sent)
    eventually(lambda: sent.is_settled, within=20, what=f"all are settled: {delivery.health}")


def is_settled_once_told(delivery: Delivery, sent: Parcel) -> bool:
    delivery.retry_now()
    return sent.is_settled


def refusals(tmp_path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for path in (tmp_path / "refused").glob("*") for line in path.read_text().splitlines()]


def test_events_are_stored_with_their_bytes_compressed_with_zstd(start: Start, server: IngestServer) -> None:
    send(start(), *(outgoing(number) for number in range(1200)))
    assert [event.sequence for event in server.stored.values()] == list(range(1200))
    assert bytes(next(iter(server.stored.values())).message) == b'{"id": 0, "method": "ping", "params": {"text": ""}}'
    assert set(server.encodings) == {"zstd"}
    assert server.exchanges == 1


@pytest.mark.parametrize("status", [500, 502, 503, 404, 302, 408])
def test_what_was_not_stored_is_sent_again(
    status: int, start: Start, server: IngestServer, waits: list[tuple[int, float | None]]
) -> None:
    server.fail_next(status, times=3)
    send(start(), outgoing(1))
    assert len(server.stored) == 1
    assert [failures for failures, _ in waits] == [1, 2, 3]


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(
    status: int, start: Start, server: IngestServer, waits: list[tuple[int, float | None]]
) -> None:
    server.fail_next(status, retry_after="7")
    send(start(), outgoing(1))
    assert waits == [(1, 7.0)]


def test_a_success_begins_the_count_of_failures_anew(
    start: Start, server: IngestServer, waits: list[tuple[int, float | None]]
) -> None:
    delivery = start()
    for _ in range(2):
        server.fail_next(503, times=2)
        send(delivery, outgoing(len(server.stored)))
    assert [failures for failures, _ in waits] == [1, 2, 1, 2]


def test_a_server_that_is_down_gets_everything_when_it_is_back(start: Start, server: IngestServer) -> None:
    server.stop()
    delivery = start()
    sent = parcel(*(outgoing(number) for number in range(10)))
    delivery.outbox.put(sent)
    eventually(lambda: delivery.health.state == "waiting" and "cannot reach" in delivery.health.reason)
    server.start()
    eventually(lambda: sent.is_settled)
    assert len(server.stored) == 10
    assert (delivery.health.state, delivery.health.reason) == ("delivering", "")


def test_an_answer_that_got_lost_makes_no_second_copy(start: Start, server: IngestServer) -> None:
    server.fail_next(503, after_storing=True)
    delivery = start()
    send(delivery, outgoing(1), outgoing(2))
    assert (len(server.stored), server.received) == (2, 4)
    assert (delivery.health.shipped, delivery.health.duplicates) == (2, 2)


def test_an_answer_that_ends_early_is_none(start: Start, server: IngestServer) -> None:
    server.fail_next(200, cut=True, body=b'{"success": true, "accepted": 1, "duplicates": 0}')
    delivery = start()
    send(delivery, outgoing(1))
    assert len(server.stored) == 1


def test_a_bug_costs_a_wait_and_is_said(start: Start, server: IngestServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    delivery = start()
    sent = parcel(outgoing(1))
    with monkeypatch.context() as patch:
        patch.setattr("km_client.agent.delivery.judge", fail)
        delivery.outbox.put(sent)
        eventually(lambda: "a bug" in delivery.health.reason)
    eventually(lambda: sent.is_settled)
    assert len(server.stored) == 1


def test_a_captive_portals_200_is_no_receipt(start: Start, server: IngestServer) -> None:
    server.fail_next(200, body=b"<html>Please sign in</html>")
    server.fail_next(200, body=b'{"success": true, "accepted": 1, "duplicates": 0}')
    send(start(), outgoing(1), outgoing(2))
    assert len(server.stored) == 2


def test_an_ended_token_is_exchanged_anew_without_a_wait(
    start: Start, server: IngestServer, waits: list[tuple[int, float | None]]
) -> None:
    delivery = start()
    send(delivery, outgoing(1))
    server.forget_tokens()
    send(delivery, outgoing(2))
    assert (server.exchanges, len(server.stored), waits) == (2, 2, [])


def test_a_token_is_exchanged_anew_before_it_ends(start: Start, server: IngestServer) -> None:
    server.token_lives_seconds = 1
    delivery = start()
    send(delivery, outgoing(1))

    def is_exchanged_anew() -> bool:
        send(delivery, outgoing(len(server.stored) + 1))
        return server.exchanges > 1

    eventually(is_exchanged_anew)


def test_a_revoked_key_pauses_says_so_and_goes_on_when_it_works_again(start: Start, server: IngestServer) -> None:
    key = server.new_key()
    delivery = start(key)
    send(delivery, outgoing(1))
    server.revoke(key)
    sent = parcel(outgoing(2))
    delivery.outbox.put(sent)
    eventually(lambda: delivery.health.state == "paused")
    assert delivery.health.reason == "the API key is not known"
    exchanges = server.exchanges
    server.keys.add(key)
    eventually(lambda: is_settled_once_told(delivery, sent))
    assert server.exchanges == exchanges + 1
    assert len(server.stored) == 2


def test_403_pauses_too(start: Start, server: IngestServer) -> None:
    server.fail_next(403)
    delivery = start()
    delivery.outbox.put(parcel(outgoing(1)))
    eventually(lambda: delivery.health.state == "paused")


def test_a_batch_that_is_too_large_is_halved_until_it_fits(start: Start, server: IngestServer) -> None:
    server.max_body = 5_000
    delivery = start()
    send(delivery, *(outgoing(number, "x" * 700) for number in range(40)))
    assert [event.sequence for event in server.stored.values()] == list(range(40))
    assert max(server.batches) <= 5


def test_an_event_that_no_batch_can_carry_is_shortened(start: Start, server: IngestServer) -> None:
    server.max_body = 400_000
    send(start(), outgoing(0), outgoing(1, "y" * 1_000_000), outgoing(2))
    events = list(server.stored.values())
    assert [event.sequence for event in events] == [0, 1, 2]
    assert events[1].truncated and (events[1].size or 0) > 1_000_000


def test_an_event_that_is_too_large_even_then_is_refused_here_and_the_rest_goes_on(
    start: Start, server: IngestServer, tmp_path: Path
) -> None:
    server.max_body = 2_000
    delivery = start()
    send(delivery, outgoing(0), outgoing(1, "y" * 1_000_000), outgoing(2))
    assert [event.sequence for event in server.stored.values()] == [0, 2]
    (kept,) = refusals(tmp_path)
    assert kept["code"] == "too_large"
    assert len(json.dumps(kept["event"])) > 1_000_000, "the whole event is kept"
    assert delivery.health.refused == 1


def test_events_refused_by_index_are_kept_with_the_reason_and_the_others_are_stored(
    start: Start, server: IngestServer, tmp_path: Path
) -> None:
    server.refuses = lambda event: (event.sequence or 0) % 10 == 3
    delivery = start()
    send(delivery, *(outgoing(number) for number in range(50)))
    assert len(server.stored) == 45
    kept = refusals(tmp_path)
    assert len(kept) == 5
    assert {entry["message"] for entry in kept} == {"refused by this test"}
    assert (delivery.health.shipped, delivery.health.refused) == (45, 5)


def test_an_event_that_spoils_whole_batches_is_singled_out(start: Start, server: IngestServer, tmp_path: Path) -> None:
    server.chokes_on = lambda event: event.sequence in {7, 33}
    send(start(), *(outgoing(number) for number in range(40)))
    assert sorted(event.sequence or 0 for event in server.stored.values()) == [n for n in range(40) if n not in {7, 33}]
    assert len(refusals(tmp_path)) == 2


def test_refused_events_that_cannot_be_written_down_are_not_given_up(
    start: Start, server: IngestServer, tmp_path: Path
) -> None:
    (tmp_path / "refused").write_text("a file where a directory should be")
    server.refuses = lambda _: True
    delivery = start()
    sent = parcel(outgoing(1))
    delivery.outbox.put(sent)
    eventually(lambda: "disk full" in delivery.health.reason)
    assert not sent.is_settled
    (tmp_path / "refused").unlink()
    eventually(lambda: sent.is_settled)
    assert len(refusals(tmp_path)) == 1


@pytest.mark.parametrize(("reads", "used"), [({"gzip", "identity"}, "gzip"), ({"identity"}, "identity")])
def test_a_server_that_does_not_read_zstd_gets_what_it_reads(
    reads: set[str], used: str, start: Start, server: IngestServer
) -> None:
    server.reads_encodings = reads
    delivery = start()
    send(delivery, outgoing(1))
    send(delivery, outgoing(2))
    assert server.encodings[-2:] == [used, used]


def test_what_was_taken_back_is_not_sent(start: Start, server: IngestServer) -> None:
    server.stop()
    delivery = start()
    taken_back = parcel(outgoing(1))
    delivery.outbox.put(taken_back)
    eventually(lambda: delivery.health.state == "waiting")
    taken_back.dropped = True
    server.start()
    send(delivery, outgoing(2))
    assert [event.sequence for event in server.stored.values()] == [2]


def test_neither_netrc_nor_a_proxy_changes_who_we_are_to_this_machines_server(
    start: Start, server: IngestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    send(start(), outgoing(1))
    assert len(server.stored) == 1


def test_stopping_does_not_wait_for_a_back_off(start: Start, server: IngestServer, tmp_path: Path) -> None:
    server.fail_next(503)
    destination = Destination(server.url, server.new_key())
    delivery = Delivery(destination, RefusalStore(tmp_path / "refused"), wake=lambda: None, delay=lambda *_: 3600.0)
    delivery.start()
    delivery.outbox.put(parcel(outgoing(1)))
    eventually(lambda: delivery.health.state == "waiting")
    delivery.stop(10.0)
    assert not any(isinstance(event, Event) for event in server.stored.values())
