"""What the official client and server say to each other is understood whole, in both eras: every request finds its
answer, and everything said about a call belongs to it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from km_client.agent.correlation import Conversation
from km_client.agent.derivation import ALWAYS, Derivation, Identity
from km_client.agent.handshake import Handshake
from km_client.agent.position import Position
from km_client.agent.redaction import RedactionRules, Redactor
from km_client.capture.spool import list_sessions
from km_protocol.envelope import Event, Party
from mcp import Client, StdioServerParameters
from mcp.types import CreateMessageResult, ElicitResult, ListRootsResult, TextContent

from tests.client.monitored import KM_CLIENT

SERVER = [sys.executable, str(Path(__file__).resolve().parents[2] / "mcp_servers" / "conversing_server.py")]
LEGACY, MODERN = "legacy", "2026-07-28"


async def a_model(*_: Any) -> CreateMessageResult:
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text="red"), model="none")


async def a_person(*_: Any) -> ElicitResult:
    return ElicitResult(action="accept", content={"when": "tomorrow"})


async def roots(*_: Any) -> ListRootsResult:
    return ListRootsResult(roots=[])


class Session:
    """What the agent makes of a session in which a client did as it was told."""

    def __init__(self, data_dir: Path, mode: str, act: Callable[[Client], Awaitable[None]]) -> None:
        anyio.run(self._visit, data_dir, mode, act)
        (spool,) = list_sessions(data_dir / "journal")
        self._derivation = Derivation(Identity("r", "s"), Position(Handshake(Party("x"))), Redactor(RedactionRules()))
        self.events: list[Event] = []
        for record in spool.records({}, over=True, now_ns=ALWAYS):
            self.events += self._derivation.take(record)

    @property
    def conversation(self) -> Conversation:
        return self._derivation.position.conversation

    async def _visit(self, data_dir: Path, mode: str, act: Callable[[Client], Awaitable[None]]) -> None:
        environment = {**os.environ, "KM_DATA_DIR": str(data_dir)}
        target = StdioServerParameters(command=KM_CLIENT, args=["monitor", "--", *SERVER], env=environment)
        callbacks: dict[str, Any] = {
            "sampling_callback": a_model,
            "elicitation_callback": a_person,
            "list_roots_callback": roots,
        }
        async with Client(target, mode=mode, read_timeout_seconds=60, cache=None, **callbacks) as client:
            await act(client)

    def of(self, method: str, kind: str = "request") -> list[Event]:
        return [event for event in self.events if event.method == method and event.type == kind]


@pytest.mark.parametrize("mode", [LEGACY, MODERN])
def test_every_request_finds_its_answer_and_progress_its_call(data_dir: Path, mode: str) -> None:
    async def act(client: Client) -> None:
        async def told(progress: float, total: float | None, message: str | None) -> None: ...

        await client.list_tools()
        await client.call_tool("count", {"last": 3}, progress_callback=told)

    session = Session(data_dir, mode, act)
    asked = {event.id: event for event in session.events if event.type == "request"}
    answers = [event for event in session.events if event.type == "response"]
    assert {event.correlation_id for event in answers} == asked.keys()
    assert all(event.duration_ms is not None for event in answers)
    (call,) = session.of("tools/call")
    assert call.tool == "count"
    assert [event.correlation_id for event in session.of("notifications/progress", "notification")] == [call.id] * 3
    assert session.conversation == Conversation()


def test_requests_of_the_server_are_answered_by_the_client(data_dir: Path) -> None:
    async def act(client: Client) -> None:
        await client.call_tool("ask", {})

    session = Session(data_dir, LEGACY, act)
    for method in ("sampling/createMessage", "roots/list"):
        (asked,), (answered,) = session.of(method), session.of(method, "response")
        assert (asked.direction, answered.direction) == ("response", "request")
        assert answered.correlation_id == asked.id
    assert session.conversation == Conversation()


@pytest.mark.parametrize("with_state", [True, False])
def test_a_retry_that_brings_the_answers_carries_on_its_call(data_dir: Path, with_state: bool) -> None:
    async def act(client: Client) -> None:
        await client.call_tool("book", {"with_state": with_state})

    session = Session(data_dir, MODERN, act)
    first, retry = session.of("tools/call")
    wanted, done = session.of("tools/call", "response")
    assert {event.correlation_id for event in (first, wanted, retry, done)} == {first.id}
    assert session.conversation == Conversation()


@pytest.mark.parametrize("mode", [LEGACY, MODERN])
def test_a_call_that_the_client_gives_up_ends_as_cancelled(data_dir: Path, mode: str) -> None:
    async def act(client: Client) -> None:
        with anyio.CancelScope() as call:

            async def has_begun(progress: float, total: float | None, message: str | None) -> None:
                call.cancel()

            await client.call_tool("wait", {}, progress_callback=has_begun)
        await client.list_tools()

    session = Session(data_dir, mode, act)
    (call,) = session.of("tools/call")
    (cancelled,) = session.of("notifications/cancelled", "notification")
    assert (cancelled.correlation_id, cancelled.tool) == (call.id, "wait")
    assert cancelled.duration_ms, "so long it had been open"
    assert (session.conversation.request, session.conversation.tokens) == ({}, {})
    assert not [event for event in session.events if event.is_error]


def test_what_comes_on_a_subscription_belongs_to_it_and_it_is_no_slow_call(data_dir: Path) -> None:
    async def act(client: Client) -> None:
        async with client.listen(tools_list_changed=True) as changes:
            await client.call_tool("announce", {})
            with anyio.fail_after(30):
                await anext(changes)

    session = Session(data_dir, MODERN, act)
    (listening,) = session.of("subscriptions/listen")
    told = session.of("notifications/tools/list_changed", "notification")
    assert told and {event.correlation_id for event in told} == {listening.id}
    ends = [event for event in session.events if event.correlation_id == listening.id and event is not listening]
    assert {event.duration_ms for event in ends} == {None}
    assert not [event for event in session.events if event.is_error], "it ended with its server"
