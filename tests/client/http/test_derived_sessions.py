"""Where the protocol has no session, one is derived: by the handshake, by the program that speaks, by silence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from km_client.capture import exchanges
from km_client.capture.recording import Recording
from km_client.capture.spool import SessionSpool, list_sessions
from km_client.proxy.http import runs
from km_client.proxy.http.copies import Room
from km_client.proxy.http.heads import RequestHead, ResponseHead
from km_client.proxy.http.runs import Runs
from km_client.proxy.http.tape import Tape

from tests.client.http.raw_http import entries

INITIALIZE = b'{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}'
CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}'
ANSWER = b'{"jsonrpc":"2.0","id":1,"result":{}}'


class Traffic:
    """Exchanges through one listener, and the sessions they are recorded in."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = iter(range(1, 1000))
        self.runs = Runs(self._open)

    def _open(self) -> Recording:
        made = Recording(
            self._directory / f"run-{next(self._numbers):03d}",
            {},
            on_failure=lambda error: pytest.fail(str(error)),
            on_rotation=lambda: None,
        )
        made.start()
        return made

    def exchange(
        self,
        body: bytes,
        program: bytes = b"one",
        session: bytes = b"",
        given: bytes = b"",
        method: bytes = b"POST",
        stream: bytes | None = None,
    ) -> None:
        """A request with its answer, or with the event stream `stream`; `given` is the server's session id."""
        kind = (b"Content-Type", b"application/json")
        asked = [kind, (b"User-Agent", program)] + ([(b"Mcp-Session-Id", session)] if session else [])
        head = RequestHead(method, b"/mcp", 1, asked)
        tape = Tape(self.runs, Room(), "/mcp", head, next(self._numbers))
        tape.request(body)
        tape.request_ended()
        answered = kind if stream is None else (b"Content-Type", b"text/event-stream")
        tape.response(ResponseHead(200, b"OK", 1, [answered] + ([(b"Mcp-Session-Id", given)] if given else [])))
        tape.data(ANSWER if stream is None else stream)
        tape.ended()
        tape.close()

    def sessions(self) -> list[list[bytes]]:
        """The requests of each session, the oldest session first."""
        self.runs.finish()
        return [[entry.content for entry in entries(spool, "request")] for spool in self.spools()]

    def spools(self) -> list[SessionSpool]:
        return list_sessions(self._directory)


@pytest.fixture
def traffic(tmp_path: Path) -> Iterator[Traffic]:
    made = Traffic(tmp_path)
    yield made
    made.runs.finish()


def test_requests_without_a_session_belong_to_the_program_that_makes_them(traffic: Traffic) -> None:
    for program in (b"one", b"two", b"one"):
        traffic.exchange(CALL, program)
    assert traffic.sessions() == [[CALL, CALL], [CALL]]


@pytest.mark.parametrize(
    ("session", "stream", "noted"),
    [
        (b"", b"", True),
        (b"", b'data: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n', True),
        (b"", b"data: " + ANSWER + b"\n\n", False),
        (b"abc", b"id: 1\ndata:\n\n", False),  # to be taken up again
    ],
)
def test_a_stream_that_ends_without_an_answer_is_noted_where_none_can_come(
    traffic: Traffic, session: bytes, stream: bytes, noted: bool
) -> None:
    traffic.exchange(CALL, session=session, stream=stream)
    traffic.runs.finish()
    (spool,) = traffic.spools()
    notes = [entry for entry in entries(spool, "response") if entry.kind == exchanges.NOTE]
    assert [b"ended without an answer" in entry.content for entry in notes] == [True] * noted


def test_their_ids_count_within_their_exchange_only(traffic: Traffic) -> None:
    traffic.exchange(CALL)
    traffic.exchange(CALL, session=b"s", given=b"s")
    traffic.runs.finish()
    scopes = [[(entry.scope, entry.exchange) for entry in entries(spool, "request")] for spool in traffic.spools()]
    ((alone,), (with_session,)) = scopes
    assert alone[0] == alone[1] > 0
    assert with_session[0] == 0


def test_a_handshake_begins_a_session_even_where_the_server_gives_it_no_id(traffic: Traffic) -> None:
    for body in (INITIALIZE, CALL, INITIALIZE, CALL):
        traffic.exchange(body)
    assert traffic.sessions() == [[INITIALIZE, CALL], [INITIALIZE, CALL]]


def test_a_session_id_is_stronger_than_the_program(traffic: Traffic) -> None:
    traffic.exchange(INITIALIZE, given=b"s1")
    traffic.exchange(INITIALIZE, given=b"s2")
    traffic.exchange(CALL, session=b"s1")
    traffic.exchange(CALL)
    assert traffic.sessions() == [[INITIALIZE, CALL], [INITIALIZE], [CALL]]


def test_after_its_end_a_session_id_means_another_session(traffic: Traffic) -> None:
    traffic.exchange(INITIALIZE, given=b"s1")
    traffic.exchange(b"", session=b"s1", method=b"DELETE")
    traffic.exchange(CALL, session=b"s1")
    assert traffic.sessions() == [[INITIALIZE], [CALL]]


def test_silence_ends_a_derived_session(traffic: Traffic, monkeypatch: pytest.MonkeyPatch) -> None:
    traffic.exchange(CALL)
    monkeypatch.setattr(runs, "IDLE_SECONDS", -1.0)
    traffic.runs.sweep()
    traffic.exchange(CALL)
    assert traffic.sessions() == [[CALL], [CALL]]
