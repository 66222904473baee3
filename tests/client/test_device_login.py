"""Waiting for a login to be confirmed: as often as is allowed, through a network that comes and goes, and no longer."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from km_client import device_login
from km_client.agent.api import Api
from km_client.device_login import Begun
from km_client.errors import ClientError
from km_protocol import api_keys

KEY = str(api_keys.compose("inst", "7" * api_keys.BODY_LENGTH))
TOKEN = {"token": {"accessToken": KEY, "accessTokenExpiresAt": "2027-11-23T10:00:00Z", "tokenType": "Bearer"}}
PENDING: tuple[int, Any] = (400, {"error": "authorization_pending"})
CUT: tuple[int, Any] = (0, {})
CODES = {
    "deviceCode": "d" * 43,
    "userCode": "WDJB-MJHT",
    "verificationUri": "http://127.0.0.1/app/device",
    "verificationUriComplete": "http://127.0.0.1/app/device?user_code=WDJB-MJHT",
    "expiresIn": 600,
    "interval": 5,
}
Answers = Callable[..., Api]


@pytest.fixture
def answering() -> Iterator[Answers]:
    """A server that gives these answers, one after another: `(status, body)`, where 0 cuts the connection."""
    script: list[tuple[int, Any]] = []
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"null"))
            status, body = script.pop(0)
            if status == 0:
                self.close_connection = True
                return
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing is to be said on a test's stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def scripted(*answers: tuple[int, Any]) -> Api:
        script[:] = answers
        return Api(f"http://127.0.0.1:{server.server_port}", "")

    yield scripted
    server.shutdown()
    server.server_close()


class Time:
    """A clock that only the waiting moves."""

    def __init__(self) -> None:
        self.now, self.pauses = 0.0, list[float]()

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def waited(api: Api, *, expires_in: float = 600.0) -> tuple[Any, list[float]]:
    time = Time()
    begun = Begun("d" * 43, "WDJB-MJHT", "", "", expires_in, 5.0)
    try:
        return device_login.wait(api, begun, pause=time.pause, clock=lambda: time.now), time.pauses
    except ClientError as error:
        return error.code, time.pauses
    finally:
        api.close()


def test_it_asks_every_interval_until_somebody_confirmed(answering: Answers) -> None:
    found, pauses = waited(answering(PENDING, PENDING, (200, TOKEN)))
    assert (found.key, found.ends.year, pauses) == (KEY, 2027, [5.0, 5.0, 5.0])


def test_it_slows_down_for_good_when_told(answering: Answers) -> None:
    _, pauses = waited(answering((400, {"error": "slow_down"}), PENDING, (400, {"error": "slow_down"}), (200, TOKEN)))
    assert pauses == [5.0, 10.0, 10.0, 15.0]


def test_it_keeps_the_interval_that_slow_down_names(answering: Answers) -> None:
    _, pauses = waited(answering((400, {"error": "slow_down", "interval": 30}), (200, TOKEN)))
    assert pauses == [5.0, 30.0]


def test_it_waits_for_a_network_that_is_away_and_asks_less_often(answering: Answers) -> None:
    found, pauses = waited(answering(CUT, CUT, PENDING, (200, TOKEN)))
    assert (found.key, pauses) == (KEY, [5.0, 10.0, 20.0, 20.0])


@pytest.mark.parametrize("trouble", [(429, {}), (503, {"error": {"code": "unavailable"}}), (500, b"oops")])
def test_it_waits_for_a_server_in_trouble(answering: Answers, trouble: tuple[int, Any]) -> None:
    assert waited(answering(trouble, (200, TOKEN)))[0].key == KEY


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((400, {"error": "access_denied"}), "access_denied"),
        ((400, {"error": "expired_token"}), "expired_token"),
        ((404, {}), "no_login_here"),
        ((400, {"error": "access_denied", "error_description": "Acme has 200 keys in use"}), "access_denied"),
        ((400, {"error": {"code": "invalid_request", "message": "Acme has 200 keys in use"}}), "invalid_request"),
        ((400, {"error": "invalid_grant"}), "not_kilometers"),
        ((200, {}), "not_kilometers"),
        ((200, {"token": {"accessToken": "something else"}}), "not_kilometers"),
        ((200, b"<html>"), "not_kilometers"),
    ],
)
def test_it_ends_at_once_where_nothing_is_to_come(answering: Answers, answer: tuple[int, Any], code: str) -> None:
    assert waited(answering(answer)) == (code, [5.0])


def test_a_refusal_says_why_where_the_server_does(answering: Answers) -> None:
    api = answering((400, {"error": "access_denied", "error_description": "Acme has 200 keys in use"}))
    with pytest.raises(ClientError, match="Acme has 200 keys in use"):
        device_login.wait(api, Begun("d", "W", "", "", 600.0, 0.0))
    api.close()


@pytest.mark.parametrize(
    ("answer", "given"),
    [
        ((200, {"revoked": True}), True),
        ((200, {"revoked": False}), False),
        ((401, {"error": {"code": "revoked_api_key"}}), True),
        ((401, {"error": {"code": "expired_api_key"}}), True),
        ((401, {"error": {"code": "customer_suspended", "message": "Acme is suspended"}}), "Acme is suspended"),
        ((401, {"error": {"code": "unknown_api_key", "message": "no such API key"}}), "no such API key"),
        ((401, b"<html>a proxy's"), "answered 401"),
        ((503, {}), "answered 503"),
    ],
)
def test_a_key_is_given_back_only_where_the_server_says_it_is_over(
    answering: Answers, answer: tuple[int, Any], given: bool | str
) -> None:
    api = answering(answer)
    if isinstance(given, bool):
        assert device_login.give_back(api.url, api_keys.parse(KEY)) is given
    else:
        with pytest.raises(ClientError, match=given) as error:
            device_login.give_back(api.url, api_keys.parse(KEY))
        assert "--offline" in error.value.hint
    api.close()


def test_it_ends_when_its_time_is_over(answering: Answers) -> None:
    assert waited(answering(*[PENDING] * 10), expires_in=20) == ("expired_token", [5.0] * 4)


def test_it_tells_the_server_which_machine_asks(answering: Answers) -> None:
    api = answering((200, CODES))
    begun = device_login.begin(api, machine="9f2c")
    api.close()
    assert (begun.user_code, begun.expires_in, begun.interval) == ("WDJB-MJHT", 600.0, 5.0)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((404, {}), "no_login_here"),
        ((200, {**CODES, "deviceCode": 7}), "not_kilometers"),
        ((200, b"<html>"), "not_kilometers"),
        ((429, {"error": {"code": "too_many_requests", "message": "m", "hint": "h"}}), "too_many_requests"),
        (CUT, "unreachable"),
    ],
)
def test_a_login_that_cannot_begin_says_why(answering: Answers, answer: tuple[int, Any], code: str) -> None:
    api = answering(answer)
    with pytest.raises(ClientError) as error:
        device_login.begin(api, machine="9f2c")
    api.close()
    assert error.value.code == code and error.value.hint


@pytest.mark.parametrize("odd", [-1, 1e9, "soon", None, "nan", True])
def test_odd_seconds_of_a_server_do_no_harm(answering: Answers, odd: object) -> None:
    api = answering((200, json.dumps({**CODES, "interval": odd, "expiresIn": odd}).encode()))
    begun = device_login.begin(api, machine="9f2c")
    api.close()
    assert 0 <= begun.interval <= 60 and 0 <= begun.expires_in <= 3600
