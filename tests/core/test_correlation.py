"""Ids are taken from a caller when they are harmless, made when they are not, and end with the request."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from structlog.contextvars import get_contextvars

from core import correlation

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@pytest.fixture(autouse=True)
def nobody() -> Iterator[None]:
    correlation.end()
    yield
    correlation.end()


@pytest.mark.parametrize("sent", ["7f3a-checkout", "a", "req/1:2=3+4_5.6", "9" * 128])
def test_a_harmless_request_id_is_kept(sent: str) -> None:
    assert correlation.begin(sent, None) == sent
    assert get_contextvars()["request_id"] == sent


@pytest.mark.parametrize(
    "sent", [None, "", "two words", "line\nbreak", "-dash-first", "é", "x" * 129, '{"a":1}', "a;b"]
)
def test_any_other_is_replaced(sent: str | None) -> None:
    made = correlation.begin(sent, None)
    assert len(made) == 32 and made != sent
    assert correlation.begin(sent, None) != made


@pytest.mark.parametrize("sent", [f"00-{TRACE}-{PARENT}-01", f"cc-{TRACE}-{PARENT}-01-what-the-future-brings"])
def test_the_trace_id_of_a_traceparent_is_kept(sent: str) -> None:
    assert correlation.trace_id(sent) == TRACE


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "",
        TRACE,
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}",
        f"cc-{TRACE}-{PARENT}-01-" + "x" * 1000,
    ],
)
def test_a_traceparent_the_standard_calls_invalid_is_none(sent: str | None) -> None:
    assert correlation.trace_id(sent) is None


def test_one_request_never_has_the_ids_of_another() -> None:
    correlation.begin("first", None)
    correlation.identify(customer_id="cus_1", user_id="")
    assert "user_id" not in get_contextvars()
    correlation.begin("second", None)
    assert get_contextvars().keys() == {"request_id", "trace_id"}


def test_what_is_carried_elsewhere_is_the_known_ids_and_nothing_else() -> None:
    correlation.begin("first", f"00-{TRACE}-{PARENT}-01")
    correlation.identify(customer_id="cus_1")
    carried = correlation.carried()
    assert carried == {"request_id": "first", "trace_id": TRACE, "customer_id": "cus_1"}
    correlation.resume(carried | {"level": "critical", "key_id": ["a", "list"], "user_id": "x" * 999})
    assert get_contextvars() == carried | {"user_id": "x" * correlation.MAX_CHARACTERS}
