"""Failures are counted per caller and window; a success costs nothing, and a lost cache forgives nobody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.test import RequestFactory, override_settings

from core.errors import TooManyRequests
from core.throttling import FailureLimit, address_of

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
UNREACHABLE = {"default": {"BACKEND": "kmcloud.cache.Cache", "LOCATION": "redis://127.0.0.1:1/0"}}


@pytest.fixture
def limit() -> FailureLimit:
    return FailureLimit(uuid4().hex, failures=3, window=timedelta(minutes=5))


def fail(limit: FailureLimit, caller: str, times: int, now: datetime = NOON) -> None:
    for _ in range(times):
        limit.check(caller, now=now)
        limit.count(caller, now=now)


def test_the_fourth_attempt_after_three_failures_is_refused_until_the_window_ends(limit: FailureLimit) -> None:
    fail(limit, "a", 3)
    with pytest.raises(TooManyRequests) as refused:
        limit.check("a", now=NOON + timedelta(minutes=1))
    assert refused.value.retry_after == 240
    limit.check("a", now=NOON + timedelta(minutes=5))


def test_one_callers_failures_are_not_another_callers(limit: FailureLimit) -> None:
    fail(limit, "a", 3)
    limit.check("b", now=NOON)


def test_one_subscribers_addresses_of_ipv6_are_one_caller(limit: FailureLimit) -> None:
    for last in range(3):
        fail(limit, f"2001:db8::{last}", 1)
    with pytest.raises(TooManyRequests):
        limit.check("2001:db8:0:0:9::1", now=NOON)
    limit.check("2001:db8:0:1::1", now=NOON)


def test_checking_alone_uses_nothing_up(limit: FailureLimit) -> None:
    for _ in range(10):
        limit.check("a", now=NOON)


@override_settings(CACHES=UNREACHABLE)
def test_while_the_cache_cannot_be_reached_the_process_counts_for_itself(limit: FailureLimit) -> None:
    fail(limit, "a", 3)
    with pytest.raises(TooManyRequests):
        limit.check("a", now=NOON)
    limit.check("b", now=NOON)


@pytest.mark.parametrize(
    ("trusted", "forwarded", "address"),
    [
        (False, "1.2.3.4", "127.0.0.1"),
        (True, "", "127.0.0.1"),
        (True, "1.2.3.4", "1.2.3.4"),
        (True, "forged, 1.2.3.4", "1.2.3.4"),
    ],
)
def test_only_what_the_trusted_proxy_itself_saw_is_believed(trusted: bool, forwarded: str, address: str) -> None:
    request = RequestFactory().get("/", headers={"X-Forwarded-For": forwarded})
    with override_settings(TRUST_PROXY=trusted):
        assert address_of(request) == address
