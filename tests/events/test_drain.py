"""From inbox to store exactly once: counted from what is new, idempotent, and a poison row stops nobody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError

from core.clock import now
from events import drain as drain_module
from events import inbox, quarantine, rollups, stores
from events.drain import Drained, drain
from events.histogram import Histogram
from events.models import DailyRollup, DailyUsage, Event, HourlyRollup, InboxEntry, Party, QuarantinedEntry, Session
from tests.events.samples import Sender, a_call, an_event, answer_of, body_of, drain_everything, waiting

NOON = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)


def test_everything_sent_is_stored_and_the_inbox_is_empty(sender: Sender) -> None:
    events = [an_event() for _ in range(30)]
    for start in range(0, 30, 10):
        answer_of(sender.post(events[start : start + 10]))
    assert drain(now=now()) == Drained(rows=3, stored=30)
    assert waiting() == 0
    assert {str(each.id) for each in Event.objects.all()} == {each["id"] for each in events}


def test_every_column_holds_what_was_sent(sender: Sender) -> None:
    sent = an_event(
        NOON,
        correlation_id="c1",
        type="response",
        direction="response",
        duration_ms=3.5,
        is_error=True,
        size=4711,
        truncated=True,
    )
    answer_of(sender.post([sent]))
    drain_everything()
    event = Event.objects.select_related("server", "client").get()
    assert event.server is not None
    assert event.client is not None
    assert (event.server.name, event.server.version, event.client.name) == ("git", "1.2.0", "claude")
    assert (event.timestamp, event.correlation_id, event.type, event.direction) == (NOON, "c1", "response", "response")
    assert (event.duration_ms, event.is_error, event.size, event.truncated) == (3.5, True, 4711, True)
    assert (event.method, event.tool, event.session_id) == ("tools/call", "git_log", "s1")
    assert event.sequence == sent["sequence"]


def test_what_a_client_leaves_out_is_worked_out(sender: Sender) -> None:
    sent = {name: an_event(NOON)[name] for name in ("id", "timestamp", "type", "direction", "message")}
    answer_of(sender.post([sent]))
    drain_everything()
    event = Event.objects.get()
    assert (event.method, event.tool, event.session_id, event.server_id) == ("tools/call", "git_log", "", None)
    assert event.sequence == int(NOON.timestamp() * 1_000_000)
    assert event.size == len(event.message)
    assert not Session.objects.exists()


def test_draining_a_body_twice_changes_nothing(sender: Sender) -> None:
    answer_of(sender.post(a_call("c1")))
    row = InboxEntry.objects.get()
    drain_everything()
    before = _everything()
    row.pk = None
    row.save()
    assert drain(now=now()) == Drained(rows=1, duplicates=2)
    after = _everything()
    assert after["events"] == before["events"]
    assert after["sessions"] == before["sessions"]
    assert after["rollups"] == before["rollups"]


def _everything() -> dict[str, Any]:
    return {
        "events": list(Event.objects.order_by("id").values()),
        "sessions": list(Session.objects.values()),
        "rollups": [*HourlyRollup.objects.values(), *DailyRollup.objects.values()],
    }


def test_the_same_event_in_two_waiting_bodies_is_stored_and_counted_once(sender: Sender) -> None:
    event = an_event()
    answer_of(sender.post([event, an_event()]))
    answer_of(sender.post([event]))
    assert drain(now=now()) == Drained(rows=2, stored=2, duplicates=1)
    assert Session.objects.get().events == 2
    usage = DailyUsage.objects.get()
    assert (usage.accepted, usage.stored, usage.duplicates) == (2, 2, 1)


def test_a_crash_before_the_commit_leaves_the_inbox_as_it_was(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_of(sender.post(a_call("c1")))

    def crash(*_: object) -> None:
        raise SystemExit("killed")

    with monkeypatch.context() as patch:
        patch.setattr(inbox, "remove", crash)
        with pytest.raises(SystemExit):
            drain(now=now())
    assert (waiting(), Event.objects.count(), Session.objects.count(), HourlyRollup.objects.count()) == (1, 0, 0, 0)
    assert drain_everything().stored == 2


def test_a_session_sums_up_its_events_across_drains(sender: Sender) -> None:
    answer_of(sender.post(a_call("c1", moment=NOON, size=100)))
    drain_everything()
    late = a_call("c0", moment=NOON - timedelta(minutes=1), size=10, is_error=True)
    answer_of(sender.post(late))
    drain_everything()
    session = Session.objects.get()
    assert (session.events, session.requests, session.errors, session.bytes) == (4, 2, 2, 220)
    assert session.started_at == NOON - timedelta(minutes=1)
    assert session.last_at == NOON + timedelta(milliseconds=12.5)
    assert (session.server_name, session.server_version, session.client_name) == ("git", "1.2.0", "claude")


INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 0,
    "result": {"protocolVersion": "2025-06-18", "serverInfo": {"name": "mcp-git", "version": "9", "title": "Git"}},
}


def test_a_session_knows_what_initialize_said(sender: Sender) -> None:
    asked = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}
    request = an_event(method="initialize", tool=None, message=asked, server_info={"name": "git"})
    answer = an_event(
        method="initialize",
        tool=None,
        type="response",
        direction="response",
        message=INITIALIZE,
        server_info={"name": "git"},
    )
    answer_of(sender.post([request]))
    drain_everything()
    assert Session.objects.get().protocol_version == "2025-11-25"
    answer_of(sender.post([answer]))
    drain_everything()
    session = Session.objects.get()
    assert session.protocol_version == "2025-06-18"
    assert (session.server_name, session.server_version, session.server_title) == ("git", "9", "Git")


@pytest.mark.parametrize("slash", [b"/", b"\\/"])
def test_a_session_without_initialize_is_known_by_the_meta_of_its_requests(sender: Sender, slash: bytes) -> None:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "inspector", "version": "2"},
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    body = body_of([an_event(message=message, client_info=None)])
    answer_of(sender.post(body.replace(b"modelcontextprotocol/", b"modelcontextprotocol" + slash)))
    drain_everything()
    session = Session.objects.get()
    assert (session.protocol_version, session.client_name, session.client_version) == ("2026-07-28", "inspector", "2")


def test_hours_and_days_are_counted_by_server_method_and_tool(sender: Sender) -> None:
    answer_of(sender.post(a_call("c1", moment=NOON, duration_ms=10, size=5)))
    answer_of(sender.post(a_call("c2", moment=NOON + timedelta(hours=1), duration_ms=1000, size=5, is_error=True)))
    drain_everything()
    hours = list(HourlyRollup.objects.order_by("at"))
    assert [hour.at for hour in hours] == [NOON.replace(minute=0), NOON.replace(hour=13, minute=0)]
    assert [(hour.events, hour.requests, hour.errors, hour.bytes, hour.timed) for hour in hours] == [
        (2, 1, 0, 10, 1),
        (2, 1, 2, 10, 1),
    ]
    day = DailyRollup.objects.get()
    assert (day.at, day.events, day.timed, day.duration_ms) == (NOON.replace(hour=0, minute=0), 4, 2, 1010.0)
    assert (day.server, day.method, day.tool) == ("git", "tools/call", "git_log")
    merged = Histogram.decode(hours[0].histogram) + Histogram.decode(hours[1].histogram)
    assert Histogram.decode(day.histogram) == merged
    assert merged.total == 2


def test_a_party_is_one_row_however_often_it_is_named(sender: Sender) -> None:
    for _ in range(3):
        answer_of(sender.post([an_event()]))
        drain_everything()
    assert Party.objects.count() == 2


def test_many_rows_are_drained_in_several_transactions(sender: Sender) -> None:
    for _ in range(3):
        answer_of(sender.post([an_event() for _ in range(200)]))
    assert drain(now=now()).rows == 1
    assert drain_everything().stored == 400


def poison(sender: Sender) -> InboxEntry:
    """A row whose body is no longer what was acknowledged."""
    answer_of(sender.post([an_event()]))
    row = InboxEntry.objects.latest("id")
    InboxEntry.objects.filter(pk=row.pk).update(body=b"no longer JSON")
    row.refresh_from_db()
    return row


def test_one_poison_row_blocks_nobody(sender: Sender) -> None:
    answer_of(sender.post([an_event()]))
    bad = poison(sender)
    answer_of(sender.post([an_event()]))
    done = drain(now=now())
    assert (done.rows, done.stored) == (3, 2)
    left = InboxEntry.objects.get()
    assert (left.pk, left.attempts) == (bad.pk, 1)
    assert "EventError" in left.error


def test_a_poison_row_is_put_off_longer_each_time_and_then_quarantined(sender: Sender) -> None:
    bad = poison(sender)
    moment = now()
    for attempt, delay in enumerate(quarantine.DELAYS, start=1):
        drain(now=moment)
        row = InboxEntry.objects.get()
        assert (row.attempts, row.retry_at) == (attempt, moment + delay)
        assert drain(now=moment).rows == 0
        moment += delay
    assert drain(now=moment).quarantined == 1
    assert waiting() == 0
    kept = QuarantinedEntry.objects.get()
    assert (kept.customer_id, bytes(kept.body), kept.events) == (bad.customer_id, b"no longer JSON", 1)
    assert kept.quarantined_at == moment


def test_a_repaired_row_is_stored_after_redrive(sender: Sender) -> None:
    answer_of(sender.post([an_event()]))
    body = bytes(InboxEntry.objects.get().body)
    row = InboxEntry.objects.get()
    InboxEntry.objects.update(body=b"broken", attempts=len(quarantine.DELAYS))
    assert drain_everything().quarantined == 1
    QuarantinedEntry.objects.update(body=body)
    assert quarantine.redrive(QuarantinedEntry.objects.values_list("pk", flat=True), now=now()) == 1
    assert not QuarantinedEntry.objects.exists()
    assert InboxEntry.objects.get().received_at == row.received_at
    assert drain_everything().stored == 1


def test_a_database_that_is_away_is_no_rows_fault(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_of(sender.post([an_event()]))

    def away(*_: object) -> None:
        raise OperationalError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(type(stores.current()), "insert", away)
        with pytest.raises(OperationalError):
            drain(now=now())
    assert InboxEntry.objects.get().attempts == 0
    assert drain_everything().stored == 1


def test_a_fault_of_the_counting_stores_nothing(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_of(sender.post([an_event()]))

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(rollups, "add", fail)
        drain(now=now())
    assert (Event.objects.count(), Session.objects.count()) == (0, 0)
    assert drain_everything(at=now() + timedelta(minutes=5)).stored == 1


def test_nothing_due_is_nothing_done(db: None) -> None:
    assert drain_module.drain(now=now()) == Drained()


@pytest.mark.parametrize(
    ("said", "counts"),
    [({}, True), ({"is_error": True}, True), ({"is_error": False}, False)],
    ids=["not said, as the guide's clients", "said", "a declined probe"],
)
def test_an_answer_of_type_error_is_a_fault_unless_its_recorder_says_otherwise(
    sender: Sender, said: dict[str, bool], counts: bool
) -> None:
    fields: dict[str, Any] = {"type": "error", "direction": "response"}
    answer_of(sender.post([an_event(NOON, **(fields | said))]))
    drain_everything()
    assert Event.objects.get().is_error is counts
