"""Signing in while Redis is killed, hangs, or comes back: it works, guessing stays limited, a code works once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib.auth.models import User
from django.core.cache import cache, caches
from django.test import Client
from pytest_django.fixtures import Settings

from core import redis_client
from core.breaker import Breaker
from core.throttling import FailureLimit
from customers import accounts
from customers.models import Customer
from dashboard import login
from kmcloud.cache import Cache
from tests.dashboard.conftest import PASSWORD
from tests.dashboard.test_sign_in import EMAIL, code_of
from tests.end_to_end.production_servers import Redis, are_installed

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(not are_installed(), reason="PostgreSQL or Redis is not installed"),
]


@pytest.fixture
def redis(
    tmp_path_factory: pytest.TempPathFactory, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Redis]:
    """A server of this test's own, which the service's cache is in."""
    server = Redis(tmp_path_factory.mktemp("redis"))
    server.start()
    monkeypatch.setattr(redis_client, "breaker", Breaker())
    settings.CACHES = {"default": {"BACKEND": "kmcloud.cache.Cache", "LOCATION": server.url}}
    _own().own.clear()
    yield server
    _own().own.clear()
    server.stop()


@pytest.fixture
def ann(customer: Customer, now: datetime) -> User:
    user: User = accounts.add_member(customer, EMAIL, PASSWORD, "owner", at=now).user
    return user


def _own() -> Cache:
    found = caches["default"]
    assert isinstance(found, Cache)
    return found


def attempt(password: str = PASSWORD) -> str:
    """Where signing in led to, else what the page said."""
    answer = Client().post("/app/login", {"username": EMAIL, "password": password})
    assert answer.status_code in {200, 302}
    return answer.headers.get("Location", "") or answer.content.decode()


@pytest.mark.parametrize("how", ["killed", "hangs"])
def test_people_sign_in_as_quickly_as_ever(how: str, redis: Redis, ann: User) -> None:
    assert attempt() == "/app/"
    if how == "killed":
        redis.kill()
    else:
        redis.freeze()
    try:
        begun = time.monotonic()
        assert attempt() == "/app/"
        assert time.monotonic() - begun < 2.0  # each question would wait a tenth of a second, and the breaker asks once
        assert "do not belong together" in attempt("wrong")
    finally:
        if how == "hangs":
            redis.thaw()


def test_guessing_is_as_limited_as_ever(redis: Redis, ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "PER_ACCOUNT", FailureLimit("test-away", failures=3, window=login.WINDOW))
    redis.kill()
    for _ in range(3):
        attempt("wrong")
    assert "Too many tries" in attempt()


def test_what_was_counted_before_counts_again_when_it_is_back(
    redis: Redis, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login, "PER_ACCOUNT", FailureLimit("test-back", failures=3, window=login.WINDOW))
    attempt("wrong")
    redis.freeze()
    attempt("wrong")
    redis.thaw()
    monkeypatch.setattr(redis_client, "breaker", Breaker())  # its pause is over
    for _ in range(2):
        assert "do not belong together" in attempt("wrong")
    assert "Too many tries" in attempt()


def test_codes_are_guessed_as_rarely_and_work_once(redis: Redis, ann: User) -> None:
    redis.kill()
    secret: str = generate_totp_secret()
    TOTP.activate(ann, secret)
    code, led = code_of(secret), []
    for _ in range(2):
        browser = Client()
        browser.post("/app/login", {"username": EMAIL, "password": PASSWORD})
        led.append(browser.post("/app/account/factors/authenticate/", {"code": code}).headers.get("Location"))
    assert led == ["/app/", None]
    for _ in range(6):
        answer = browser.post("/app/account/factors/authenticate/", {"code": "000000"})
    assert "Too many" in answer.content.decode()


def test_a_forgotten_password_and_a_key_that_is_wrong_are_answered(redis: Redis, ann: User) -> None:
    redis.kill()
    assert Client().post("/app/account/password/reset/", {"email": EMAIL}).status_code == 302
    wrong = Client().post("/api/auth/exchange", {"ApiKey": "km_live_x"}, content_type="application/json")
    assert wrong.status_code == 401


def test_every_method_has_something_to_do_without_it(redis: Redis) -> None:
    redis.kill()
    assert cache.add("a", 1) and not cache.add("a", 2)
    assert (cache.incr("a"), cache.decr("a"), cache.get("a"), cache.get("b", 7)) == (2, 1, 1, 7)
    cache.set_many({"b": 2, "c": 3})
    assert cache.get_many(["a", "b"]) == {"a": 1, "b": 2}
    assert "b" in cache and cache.touch("b") and cache.delete("b") and "b" not in cache
    assert cache.get_or_set("d", 4) == 4
    cache.delete_many(["a"])
    cache.clear()
    assert cache.get("c") is None
