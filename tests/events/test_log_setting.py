"""`KM_EVENT_LOG`: which log it names, and what of it is refused at start."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import CheckMessage

from core.errors import Unavailable
from events import checks, logs
from events.logs.inbox import InboxLog
from events.logs.line import address_of
from events.logs.rabbitmq import RabbitLog

REDIS = "redis://127.0.0.1:6379/0"


def found() -> set[str | None]:
    return {message.id for message in _messages()}


def _messages() -> list[CheckMessage]:
    return checks.log_can_be_found()


def test_the_inbox_is_the_log_unless_another_is_named(settings: Any) -> None:
    assert isinstance(logs.current(), InboxLog)
    assert found() == set()
    settings.EVENT_LOG, settings.EVENT_LOG_URL, settings.REDIS_URL = "rabbitmq", "amqps://km:x@rabbit/km", REDIS
    assert isinstance(logs.current(), RabbitLog)
    assert found() == set()


def test_a_name_that_is_none_is_refused(settings: Any) -> None:
    settings.EVENT_LOG = "events.logs.papyrus.PapyrusLog"
    assert found() == {"events.E005"}
    with pytest.raises(ImportError):
        logs.current()


@pytest.mark.parametrize("url", ["", "rabbit.internal", "redis://rabbit.internal", "amqp://"])
def test_rabbitmq_without_an_address_is_refused(settings: Any, url: str) -> None:
    settings.EVENT_LOG, settings.EVENT_LOG_URL, settings.REDIS_URL = "rabbitmq", url, REDIS
    assert found() == {"events.E006"}


def test_rabbitmq_without_redis_is_refused(settings: Any) -> None:
    settings.EVENT_LOG, settings.EVENT_LOG_URL, settings.REDIS_URL = "rabbitmq", "amqp://rabbit", ""
    assert found() == {"events.E007"}


def test_a_role_that_is_not_told_the_address_passes_and_cannot_use_the_log(settings: Any) -> None:
    settings.EVENT_LOG, settings.EVENT_LOG_URL, settings.REDIS_URL = "rabbitmq", None, REDIS
    assert found() == set()
    assert logs.current().waiting() is None
    with pytest.raises(Unavailable, match="KM_EVENT_LOG_URL"), logs.current().taken():
        pass


def test_an_address_says_where_and_who_and_tls_checks_the_certificate() -> None:
    plain = address_of("amqp://k%40m:p%2Fw@rabbit.internal/%2Fkm")
    assert (plain["host"], plain["userid"], plain["password"]) == ("rabbit.internal:5672", "k@m", "p/w")
    assert (plain["virtual_host"], plain["ssl"]) == ("/km", False)
    safe = address_of("amqps://[::1]:5673")
    assert (safe["host"], safe["virtual_host"]) == ("[::1]:5673", "/")
    assert safe["ssl"]["server_hostname"] == "::1"
    assert safe["ssl"]["cert_reqs"].name == "CERT_REQUIRED"
