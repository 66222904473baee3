"""What is stored is exported: as the conventions spell it, each call the same span, through crashes and refusals."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from pytest_django import Settings

from core.clock import now
from customers.models import Customer
from events import stored_hooks
from events.otlp import checks, durations, freezing, outbox, sending
from events.otlp.export import Exported, export
from events.otlp.facts import Facts
from events.otlp.models import Body, Destination, Half, Series
from events.otlp.spans import Call, span_of
from tests.events.samples import Sender, a_call, an_event, answer_of, drain_everything
from tests.fakes.otlp_receiver import Receiver, attributes, receiver

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def collector(settings: Settings) -> Iterator[Receiver]:
    """A receiver, and the export switched on for it."""
    with receiver() as listening:
        settings.OTLP_ENDPOINT = f"{listening.url}/"
        settings.OTLP_HEADERS = {"Authorization": "Bearer for-the-collector"}
        stored_hooks.on_stored(outbox.keep)
        yield listening
        stored_hooks.off_stored(outbox.keep)


def store(sender: Sender, *events: Any) -> None:
    answer_of(sender.post(list(events)))
    drain_everything()


def run(*, at: datetime | None = None) -> Exported:
    return export(clock=lambda: at or now())


def call(correlation: str, *, answer: Any = None, request: Any = None, **fields: Any) -> list[Any]:
    """A request and its answer, whose messages hold `request` and `answer` beside what every message does."""
    asked, answered = a_call(correlation, **fields)
    asked["message"] = {"jsonrpc": "2.0", "id": 7, "method": asked["method"]} | (request or {})
    answered["message"] = {"jsonrpc": "2.0", "id": 7} | (answer or {"result": {}})
    return [asked, answered]


def the_span(collector: Receiver) -> tuple[Any, dict[str, str]]:
    ((_, span),) = collector.spans
    return span, attributes(span)


def test_a_call_is_a_span_and_a_point_under_the_conventions_names(
    sender: Sender, collector: Receiver, acme: Customer
) -> None:
    moment = now()
    store(sender, *call("c1", duration_ms=250, moment=moment, request={"params": {"name": "git_log"}}))
    assert run() == Exported(calls=1, spans=1, series=1)
    span, named = the_span(collector)
    assert (span.name, span.kind) == ("tools/call git_log", Span.SPAN_KIND_CLIENT)
    assert (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6 == pytest.approx(250, abs=1)
    assert span.start_time_unix_nano / 1e9 == pytest.approx(moment.timestamp(), abs=0.001)
    assert (len(span.trace_id), len(span.span_id), span.parent_span_id) == (16, 8, b"")
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert named == {
        "mcp.method.name": "tools/call",
        "mcp.session.id": "s1",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "git_log",
        "jsonrpc.request.id": "7",
        "network.transport": "pipe",
        "km.server.name": "git",
        "km.client.name": "claude",
    }
    assert collector.spans[0][0]["km.customer.id"] == acme.public_id
    assert collector.headers[0]["Authorization"] == "Bearer for-the-collector"
    ((metric, point),) = collector.points
    assert (metric.name, metric.unit) == ("mcp.client.operation.duration", "s")
    assert (point.count, point.sum) == (1, pytest.approx(0.25))
    assert list(point.bucket_counts) == [0, 0, 0, 0, 0, 1] + [0] * 9
    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
    assert "mcp.session.id" not in attributes(point)


def test_what_brings_the_result_of_a_task_took_as_long_as_it_was_waited_for(
    sender: Sender, collector: Receiver
) -> None:
    asked, answered = call("c1", method="tasks/get", tool="", duration_ms=250)
    store(sender, asked, answered | {"method": "tools/call", "tool": "train", "duration_ms": 3_600_000})
    run()
    span, named = the_span(collector)
    assert (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6 == pytest.approx(250, abs=1)
    assert named["mcp.method.name"] == "tasks/get"
    ((_, point),) = collector.points
    assert point.sum == pytest.approx(0.25, abs=0.001)


def test_a_server_reached_by_http_is_no_pipe(sender: Sender, collector: Receiver) -> None:
    store(sender, *call("c1", server_info={"name": "notes", "transport": "http"}))
    run()
    assert the_span(collector)[1]["network.transport"] == "tcp"


def test_a_tool_that_fails_and_a_call_that_fails_are_errors_of_their_type(sender: Sender, collector: Receiver) -> None:
    failed = {"error": {"code": -32602, "message": "no such repository"}}
    asked, answered = call("c1", answer=failed)
    store(sender, asked, answered | {"type": "error"})
    store(sender, *call("c2", answer={"result": {"isError": True}}))
    run()
    by_type = {attributes(span).get("error.type"): span for _, span in collector.spans}
    assert by_type.keys() == {"-32602", "tool_error"}
    wrong = by_type["-32602"]
    assert attributes(wrong)["rpc.response.status_code"] == "-32602"
    assert (wrong.status.code, wrong.status.message) == (Status.STATUS_CODE_ERROR, "no such repository")
    assert "rpc.response.status_code" not in attributes(by_type["tool_error"])


def test_a_resource_a_prompt_and_the_protocols_version_are_named(sender: Sender, collector: Receiver) -> None:
    uri = "file:///home/user/report.pdf"
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "traceparent": f"00-{TRACE}-{PARENT}-01"}
    store(sender, *call("c1", method="resources/read", tool="", request={"params": {"uri": uri, "_meta": meta}}))
    store(sender, *call("c2", method="prompts/get", tool="", request={"params": {"name": "analyze-code"}}))
    run()
    spans = {span.name: span for _, span in collector.spans}
    assert spans.keys() == {"resources/read", "prompts/get analyze-code"}
    read = spans["resources/read"]
    assert attributes(read)["mcp.resource.uri"] == uri
    assert attributes(read)["mcp.protocol.version"] == "2026-07-28"
    assert (read.trace_id.hex(), read.parent_span_id.hex()) == (TRACE, PARENT)
    assert attributes(spans["prompts/get analyze-code"])["gen_ai.prompt.name"] == "analyze-code"


def test_the_version_a_session_agreed_on_is_on_its_later_calls(sender: Sender, collector: Receiver) -> None:
    hello = {"result": {"protocolVersion": "2025-11-25", "serverInfo": {"name": "git", "version": "1"}}}
    store(sender, *call("c1", method="initialize", tool="", answer=hello))
    store(sender, *call("c2"))
    run()
    assert {attributes(span)["mcp.protocol.version"] for _, span in collector.spans} == {"2025-11-25"}


def test_what_the_server_asks_is_seen_from_the_receiving_side(sender: Sender, collector: Receiver) -> None:
    asked, answered = call("c1", method="sampling/createMessage", tool="")
    asked["direction"], answered["direction"] = "response", "request"
    store(sender, asked, answered)
    run()
    span, _ = the_span(collector)
    assert span.kind == Span.SPAN_KIND_SERVER
    assert [metric.name for metric, _ in collector.points] == ["mcp.server.operation.duration"]


def test_nothing_of_what_was_said_leaves(sender: Sender, collector: Receiver) -> None:
    secret = "the patient's name"
    store(
        sender,
        *call(
            "c1",
            request={"params": {"name": "git_log", "arguments": {"of": secret}}},
            answer={"result": {"content": [{"type": "text", "text": secret}]}},
        ),
    )
    run()
    assert collector.spans
    assert not [body for _, body in collector.bodies if secret.encode() in body]


def test_calls_of_a_session_are_one_trace_and_each_has_its_own_span(
    sender: Sender, stranger: Sender, collector: Receiver
) -> None:
    store(sender, *call("c1"), *call("c2"), *call("c3", session_id="s2"))
    store(stranger, *call("c1"))
    run()
    spans = [span for _, span in collector.spans]
    assert len({span.span_id for span in spans}) == 4
    assert len({span.trace_id for span in spans}) == 3


def test_the_ids_of_a_span_are_the_same_in_any_process_at_any_time() -> None:
    """A later version that derives others would export twice what an earlier one has exported."""
    asked = Facts(event_id="019aa0c4d1e27b3c8d4e5f6a7b8c9d0e", at=1_000, from_client=True, session_id="s1")
    answered = Facts(event_id="019aa0c4d1e37b3c8d4e5f6a7b8c9d0f", at=2_000, from_client=False, session_id="s1")
    span = span_of(Call(7, asked, answered))
    assert (span.trace_id.hex(), span.span_id.hex()) == ("2fae48a5017b985c744eef7a4be3bc1b", "abaa628826412b3e")
    assert span_of(Call(7, None, answered)).trace_id == span.trace_id


def test_the_halves_may_come_in_any_order_and_apart(sender: Sender, collector: Receiver) -> None:
    asked, answered = call("c1", duration_ms=80)
    store(sender, answered)
    assert run() == Exported()
    store(sender, asked)
    assert run().spans == 1
    _, named = the_span(collector)
    assert named["jsonrpc.request.id"] == "7"
    assert Half.objects.count() == 0


def test_an_answer_whose_request_never_comes_is_exported_alone(sender: Sender, collector: Receiver) -> None:
    store(sender, call("c1", duration_ms=80)[1])
    assert run() == Exported()
    assert run(at=now() + freezing.PATIENCE).spans == 1
    span, _ = the_span(collector)
    assert (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6 == pytest.approx(80, abs=0.01)


def test_a_request_nobody_answers_is_given_up_after_a_day(sender: Sender, collector: Receiver) -> None:
    store(sender, call("c1")[0], an_event(type="notification", correlation_id="", method="notifications/x"))
    run(at=now() + timedelta(hours=23))
    assert Half.objects.count() == 1
    run(at=now() + timedelta(hours=25))
    assert (Half.objects.count(), collector.spans) == (0, [])


def test_an_event_stored_twice_is_exported_once(sender: Sender, collector: Receiver) -> None:
    events = call("c1")
    store(sender, *events)
    run()
    store(sender, *events)
    run(at=now() + timedelta(days=1))
    assert len(collector.spans) == 1


def test_sums_grow_and_are_stated_whole(sender: Sender, collector: Receiver) -> None:
    for number in range(3):
        store(sender, *call(f"c{number}", duration_ms=100 * (number + 1)))
        run()
    points = [point for _, point in collector.points]
    assert [point.count for point in points] == [1, 2, 3]
    assert points[-1].sum == pytest.approx(0.6)
    assert len({point.start_time_unix_nano for point in points}) == 1
    assert Series.objects.get().count == 3


class Killed(BaseException):
    """The process is gone: no handler of ours may run on."""


def test_a_sender_killed_after_the_endpoint_took_it_sends_the_same_spans_again(
    sender: Sender, collector: Receiver
) -> None:
    """Nothing tells the two apart: the body is the same to the byte, and so are the ids in it."""

    def killed(signal: str, body: bytes) -> sending.Answer:
        assert sending.post(signal, body).status == 200
        raise Killed

    store(sender, *call("c1"), *call("c2"))
    with pytest.raises(Killed):
        export(clock=now, send_by=killed)
    assert Body.objects.filter(signal="traces").count() == 1
    run(at=now() + sending.CLAIM)
    first, second = (body for path, body in collector.bodies if path == "/v1/traces")
    assert first == second
    assert len({span.span_id for _, span in collector.spans}) == 2
    assert Body.objects.count() == 0


def test_a_crash_while_writing_down_loses_no_half(
    sender: Sender, collector: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(sender, *call("c1"))
    with monkeypatch.context() as broken:
        broken.setattr(durations, "metrics_of", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run()
    assert (Half.objects.count(), Body.objects.count(), Series.objects.count()) == (2, 0, 0)
    assert run() == Exported(1, 1, 1)


def test_who_holds_the_claim_works_alone_and_not_for_ever(sender: Sender, collector: Receiver) -> None:
    store(sender, *call("c1"))
    at = now()
    with sending.claimed("traces", now=at) as ours, sending.claimed("traces", now=at) as theirs:
        assert (ours, theirs) == (True, False)
        assert run(at=at).calls == 0
        assert run(at=at + sending.CLAIM).calls == 1


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
def test_what_is_not_taken_stays_and_comes_after_a_pause(sender: Sender, collector: Receiver, status: int) -> None:
    collector.answers = [(status, {})]
    store(sender, *call("c1"))
    at = now()
    assert run(at=at).spans == 0
    state = Destination.objects.get(pk="traces")
    assert (state.failures, state.error[:3], state.retry_at) == (1, str(status), at + sending.FIRST_PAUSE)
    assert run(at=at + timedelta(seconds=1)).spans == 0
    assert run(at=at + sending.FIRST_PAUSE).spans == 1
    assert (Destination.objects.get(pk="traces").failures, Destination.objects.get(pk="traces").sent) == (0, 1)


def test_the_endpoint_says_when(sender: Sender, collector: Receiver) -> None:
    collector.answers = [(503, {"Retry-After": "120"})]
    store(sender, *call("c1"))
    at = now()
    run(at=at)
    assert Destination.objects.get(pk="traces").retry_at == at + timedelta(seconds=120)


def test_an_endpoint_that_is_away_costs_nothing_but_time(
    sender: Sender, collector: Receiver, settings: Settings
) -> None:
    listening, settings.OTLP_ENDPOINT = settings.OTLP_ENDPOINT, "http://127.0.0.1:1"
    at = now()
    for number in range(4):
        store(sender, *call(f"c{number}"))
        run(at=at + timedelta(hours=number + 1))
    assert Destination.objects.get(pk="traces").failures == 4
    settings.OTLP_ENDPOINT = listening
    assert run(at=at + timedelta(hours=5)).spans == 4
    assert len({span.span_id for _, span in collector.spans}) == 4


def test_a_body_the_endpoint_calls_bad_holds_up_no_other(sender: Sender, collector: Receiver) -> None:
    collector.answers = [(400, {})]
    store(sender, *call("c1"))
    assert run().spans == 0
    store(sender, *call("c2"))
    assert run().spans == 1
    state = Destination.objects.get(pk="traces")
    assert (state.sent, state.dropped, state.failures) == (1, 1, 0)


def test_a_partial_success_is_counted_as_such(sender: Sender, collector: Receiver) -> None:
    collector.rejected_spans = 1
    store(sender, *call("c1"), *call("c2"))
    run()
    state = Destination.objects.get(pk="traces")
    assert (state.sent, state.dropped) == (1, 1)


def test_metrics_nobody_takes_do_not_hold_up_spans(
    sender: Sender, collector: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receiver of traces alone answers 404 to metrics, for ever: their bodies end at a limit."""
    monkeypatch.setattr(freezing, "MAX_BODIES", 2)

    def traces_only(signal: str, body: bytes) -> sending.Answer:
        return sending.post(signal, body) if signal == "traces" else sending.Answer(404)

    for number in range(4):
        store(sender, *call(f"c{number}"))
        export(clock=now, send_by=traces_only)
    assert len(collector.spans) == 4
    freezing.tidy(now=now())
    assert Body.objects.filter(signal="metrics").count() == 2
    assert Destination.objects.get(pk="metrics").dropped == 2


@pytest.mark.parametrize("message", ["not json", "[1, 2]", '{"params": [], "result": 7, "error": "x"}', '{"id": true}'])
def test_a_message_of_another_form_is_a_span_all_the_same(sender: Sender, collector: Receiver, message: str) -> None:
    asked, answered = call("c1")
    for event in (asked, answered):
        event |= {"message": message, "message_encoding": "text"}
    store(sender, asked, answered)
    assert run().spans == 1
    assert attributes(collector.spans[0][1])["mcp.method.name"] == "tools/call"


def test_it_is_off_until_an_endpoint_is_named(sender: Sender) -> None:
    store(sender, *call("c1"))
    assert run() == Exported()
    assert (Half.objects.count(), Destination.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    ("endpoint", "expected"), [("", []), ("http://127.0.0.1:4318", []), ("collector:4318", ["otlp.E001"])]
)
def test_an_endpoint_that_is_no_address_is_refused(settings: Settings, endpoint: str, expected: list[str]) -> None:
    settings.OTLP_ENDPOINT = endpoint
    assert [message.id for message in checks.endpoint_is_an_address()] == expected


def test_the_metrics_page_tells_what_waits_and_what_was_dropped(sender: Sender, collector: Receiver) -> None:
    collector.answers = [(503, {}), (400, {})]
    store(sender, *call("c1"))
    run()
    page = Client(SERVER_NAME="localhost").get("/metrics").content.decode()
    assert 'km_otlp_waiting_bodies{signal="traces"} 1.0' in page
    assert 'km_otlp_failures{signal="traces"} 1.0' in page
    assert 'km_otlp_items_total{outcome="dropped",signal="metrics"} 1.0' in page
