"""The recorded server, by its own clock: who is answered what, under which id, in which order, and when."""

from __future__ import annotations

import json
from typing import Any

import pytest
from km_client.watching.replaying.plan import SUBSCRIPTION, Plan
from km_client.watching.replaying.recordings import Said
from km_client.watching.replaying.stage import UNRECORDED, Stage


def plan(*said: tuple[float, str, dict[str, Any]]) -> Plan:
    """`(seconds, "c" or "s", message)` of what the client or the server said."""
    return Plan([Said(who == "c", at, json.dumps(message).encode(), message) for at, who, message in said])


def ask(identifier: object, method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identifier, "method": method, **({"params": params} if params else {})}


def tell(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def result(identifier: object, **members: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identifier, "result": members}


def said(stage: Stage, now: float) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stage.due(now)]


def hear(stage: Stage, *messages: dict[str, Any], now: float = 0.0) -> list[dict[str, Any]]:
    for message in messages:
        stage.hear(message, now)
    return said(stage, now)


def test_answers_come_under_the_askers_ids_after_as_long_as_they_took() -> None:
    stage = Stage(plan((0, "c", ask(1, "tools/list")), (0.5, "s", result(1, tools=[]))))
    assert hear(stage, ask("abc", "tools/list"), now=100.0) == []
    assert stage.next_due == 100.5
    assert said(stage, 100.4) == [] and said(stage, 100.5) == [result("abc", tools=[])]


@pytest.mark.parametrize(("speed", "due"), [(1.0, 0.5), (10.0, 0.05), (0.0, 0.0)])
def test_speed_divides_the_waiting(speed: float, due: float) -> None:
    stage = Stage(plan((0, "c", ask(1, "ping")), (0.5, "s", result(1))), speed=speed)
    stage.hear(ask(1, "ping"), 0.0)
    assert stage.next_due == due


def test_the_same_question_is_answered_in_turn_then_with_the_last_answer_again() -> None:
    recording = plan(
        *((0, "c", ask(1, "tools/call", name="t")), (0, "s", result(1, n=1))),
        *((0, "c", ask(2, "tools/call", name="t")), (0, "s", result(2, n=2))),
    )
    stage, call = Stage(recording), ask(7, "tools/call", name="t")
    assert [hear(stage, call)[0]["result"]["n"] for _ in range(3)] == [1, 2, 2]
    strict = Stage(recording, strict=True)
    assert [hear(strict, call)[0].get("result") for _ in range(3)] == [{"n": 1}, {"n": 2}, None]


def test_params_tell_questions_apart_and_meta_does_not() -> None:
    stage = Stage(
        plan(
            *((0, "c", ask(1, "tools/call", name="a", _meta={"progressToken": 1})), (0, "s", result(1, of="a"))),
            *((0, "c", ask(2, "tools/call", name="b")), (0, "s", result(2, of="b"))),
        )
    )
    assert hear(stage, ask(1, "tools/call", name="b", _meta={"x": 1})) == [result(1, of="b")]
    assert hear(stage, ask(2, "tools/call", name="a")) == [result(2, of="a")]


def test_what_nobody_recorded_is_refused_by_name_with_what_was_expected() -> None:
    stage = Stage(plan((0, "c", ask(1, "tools/call", name="git_log", arguments={"n": 1})), (0, "s", result(1))))
    (refused,) = hear(stage, ask(5, "tools/call", name="git_log", arguments={"n": 2}))
    error = refused["error"]
    assert (refused["id"], error["code"], error["data"]["differs_at"]) == (5, UNRECORDED, ["/params/arguments/n"])
    assert 'tools/call {"name":"git_log","arguments":{"n":2}}' in error["message"]
    assert error["data"]["expected"] == ['tools/call {"name":"git_log","arguments":{"n":1}}']
    (refused,) = hear(stage, ask(6, "no/such"))
    assert "no/such" in refused["error"]["message"] and "git_log" in refused["error"]["message"]
    assert stage.unmatched == 2
    assert hear(stage, ask(7, "ping")) == [result(7)]


def test_an_ignored_place_may_differ() -> None:
    recording = plan((0, "c", ask(1, "tools/call", name="t", arguments={"at": 1})), (0, "s", result(1)))
    stage = Stage(recording, ignored=[("params", "arguments", "at")])
    assert hear(stage, ask(1, "tools/call", name="t", arguments={"at": 2})) == [result(1)]


def test_initialize_is_answered_whoever_asks() -> None:
    stage = Stage(plan((0, "c", ask(1, "initialize", clientInfo={"name": "a"})), (0, "s", result(1, v=1))), strict=True)
    assert hear(stage, ask("x", "initialize", clientInfo={"name": "b"})) == [result("x", v=1)]
    assert stage.unasked == []


def test_strict_wants_the_recorded_order_and_says_what_was_left_out() -> None:
    recording = plan(
        *((0, "c", ask(1, "tools/list")), (0, "s", result(1)), (0, "c", ask(2, "prompts/list")), (0, "s", result(2))),
    )
    stage = Stage(recording, strict=True)
    (refused,) = hear(stage, ask(1, "prompts/list"))
    assert refused["error"]["code"] == UNRECORDED and len(stage.unasked) == 2
    assert hear(stage, ask(1, "tools/list")) == [result(1)] and stage.unasked == ["prompts/list"]


def test_progress_comes_before_its_answer_under_the_askers_token() -> None:
    recording = plan(
        (0.0, "c", ask(1, "tools/call", name="slow", _meta={"progressToken": "old"})),
        (0.1, "s", tell("notifications/progress", progressToken="old", progress=1)),
        (0.2, "s", tell("notifications/progress", progressToken="old", progress=2)),
        (0.3, "s", result(1)),
    )
    stage = Stage(recording, speed=0)
    first, second, answer = hear(stage, ask(9, "tools/call", name="slow", _meta={"progressToken": 77}))
    assert [each["params"] for each in (first, second)] == [{"progressToken": 77, "progress": n} for n in (1, 2)]
    assert answer == result(9)
    assert hear(Stage(recording, speed=0), ask(9, "tools/call", name="slow")) == [result(9)], "nobody wanted progress"


def test_messages_of_a_subscription_bear_the_askers_id() -> None:
    stage = Stage(
        plan(
            (0, "c", ask(1, "subscriptions/listen")),
            (0, "s", tell("notifications/tools/list_changed", _meta={SUBSCRIPTION: 1})),
        )
    )
    assert hear(stage, ask("mine", "subscriptions/listen"))[0]["params"] == {"_meta": {SUBSCRIPTION: "mine"}}


def test_a_servers_question_is_asked_in_its_place_and_the_answer_waits_for_the_reply() -> None:
    stage = Stage(
        plan(
            (0.0, "c", ask(1, "tools/call", name="plan")),
            (0.1, "s", ask(50, "sampling/createMessage")),
            (5.0, "c", result(50, text="yes")),
            (5.2, "s", tell("notifications/message", data="thanks")),
            (5.4, "s", result(1, done=True)),
        )
    )
    assert hear(stage, ask("q", "tools/call", name="plan"), now=0.0) == []
    assert said(stage, 99.0) == [ask(50, "sampling/createMessage")]
    assert hear(stage, result(50, text="perhaps"), now=100.0) == []
    assert said(stage, 100.25) == [tell("notifications/message", data="thanks")]
    assert said(stage, 100.45) == [result("q", done=True)]


def test_answers_overtake_each_other_as_they_did() -> None:
    stage = Stage(
        plan(
            *((0.0, "c", ask(1, "tools/call", name="slow")), (0.0, "c", ask(2, "tools/call", name="quick"))),
            *((0.1, "s", result(2)), (0.9, "s", result(1))),
        )
    )
    hear(stage, ask(1, "tools/call", name="slow"), ask(2, "tools/call", name="quick"))
    assert [each["id"] for each in said(stage, 1.0)] == [2, 1]


def test_a_cancelled_request_is_not_answered() -> None:
    stage = Stage(plan((0, "c", ask(1, "tools/call", name="slow")), (9, "s", result(1))))
    hear(stage, ask("x", "tools/call", name="slow"))
    hear(stage, tell("notifications/cancelled", requestId="x"), now=1.0)
    assert said(stage, 100.0) == []


def test_what_came_after_initialized_waits_for_it_and_what_came_first_does_not() -> None:
    stage = Stage(
        plan(
            (0, "s", tell("notifications/message", data="hello")),
            *((0, "c", ask(1, "initialize")), (0, "s", result(1)), (0, "c", tell("notifications/initialized"))),
            (0, "s", tell("notifications/message", data="ready")),
        )
    )
    stage.begin(0.0)
    assert [each["params"]["data"] for each in said(stage, 0.0)] == ["hello"]
    assert hear(stage, ask(1, "initialize")) == [result(1)]
    assert [each["params"]["data"] for each in hear(stage, tell("notifications/initialized"))] == ["ready"]


def test_every_byte_but_the_id_is_as_it_was_recorded() -> None:
    content = b'{"result" : {"n":1.50e3, "big":123456789012345678901, "s":"\\u00e9\\/"},"jsonrpc":"2.0","id":1}'
    recording = Plan([Said(True, 0, b"", ask(1, "x")), Said(False, 0, content, json.loads(content))])
    stage = Stage(recording)
    stage.hear(ask("new", "x"), 0.0)
    (line,) = stage.due(0.0)
    assert b'{"n":1.50e3, "big":123456789012345678901, "s":"\\u00e9\\/"}' in line and json.loads(line)["id"] == "new"


def test_json_that_only_python_takes_is_answered_too() -> None:
    content = b'{"jsonrpc":"2.0","id":1,"result":{"x":NaN,"s":"\\ud800"}}'
    recording = Plan([Said(True, 0, b"", ask(1, "x")), Said(False, 0, content, json.loads(content))])
    stage = Stage(recording)
    stage.hear(ask(2, "x"), 0.0)
    assert b"NaN" in stage.due(0.0)[0]


def test_an_id_that_is_no_text_comes_back_as_it_was_sent() -> None:
    stage = Stage(plan((0.0, "c", ask(1, "a")), (0.0, "s", result(1, ok=True))))
    assert hear(stage, ask("\ud800", "a")) == [result("\ud800", ok=True)]


def test_a_long_recording_is_played_in_time_proportional_to_its_length() -> None:
    talk = [
        each
        for number in range(5_000)
        for each in ((0.0, "c", ask(number, "tools/call", name="t", n=number)), (0.0, "s", result(number)))
    ]
    stage = Stage(plan(*talk))
    for number in range(5_000):
        assert hear(stage, ask(number, "tools/call", name="t", n=number)) == [result(number)]
