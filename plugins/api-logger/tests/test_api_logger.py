"""What api-logger sends, against a server with the real one's rules."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import api_logger
import pytest
from api_logger import ApiLogger
from km_plugin_sdk import FeatureNotAvailableError, PluginError, TokenError
from km_plugin_sdk.testing import EventsApi, Harness, PluginProcess, golden_events

PROJECT = Path(__file__).resolve().parent.parent
PRO = ("console_logging", "api_logging")


@pytest.fixture
def api() -> Iterator[EventsApi]:
    with EventsApi() as api:
        yield api


@pytest.fixture
def harness() -> Iterator[Harness[ApiLogger]]:
    with Harness(ApiLogger(), manifest=PROJECT / "manifest.json") as harness:
        yield harness


def wait_until(holds: Callable[[], bool]) -> bool:
    until, pause = time.monotonic() + 10.0, threading.Event()
    while not holds() and time.monotonic() < until:
        pause.wait(0.005)
    return holds()


def waiting(harness: Harness[ApiLogger]) -> int:
    batcher = harness.plugin._batcher
    return len(batcher._items) if batcher is not None else 0


def test_every_event_is_sent_once_and_in_order(api: EventsApi, harness: Harness[ApiLogger]) -> None:
    api.answers = [(503, {"Retry-After": "0"})]
    harness.initialize(features=PRO, tier="Pro", api_endpoint=api.endpoint)
    harness.feed(golden_events())
    assert api.wait_for(len(golden_events()))
    assert [event["id"] for event in api.events] == [event.id for event in golden_events()]


def test_the_last_events_are_sent_at_the_end(api: EventsApi, harness: Harness[ApiLogger]) -> None:
    harness.initialize(features=PRO, api_endpoint=api.endpoint, custom_settings={"interval_seconds": 60})
    harness.feed(golden_events()[:5])
    harness.shutdown()
    assert len(api.events) == 5


def test_without_its_feature_it_is_not_used_and_nothing_leaves_the_machine(
    api: EventsApi, harness: Harness[ApiLogger]
) -> None:
    with pytest.raises(FeatureNotAvailableError, match="api_logging"):
        harness.initialize(api_endpoint=api.endpoint)
    assert harness.feed(golden_events()) == []
    harness.shutdown()
    assert api.requests == 0


def test_a_downgrade_in_mid_session_ends_it_and_an_upgrade_starts_it_again(
    api: EventsApi, harness: Harness[ApiLogger], caplog: pytest.LogCaptureFixture
) -> None:
    harness.initialize(features=PRO, tier="Pro", api_endpoint=api.endpoint, custom_settings={"batch_size": 1})
    harness.feed(golden_events()[:5])
    assert api.wait_for(5)
    with pytest.raises(FeatureNotAvailableError):
        harness.update_config(api_endpoint=api.endpoint)
    assert "api_logging is not available any more: events are not sent" in caplog.messages
    harness.feed(golden_events()[5:10])
    harness.update_config(features=PRO, tier="Pro", api_endpoint=api.endpoint)
    harness.feed(golden_events()[10:12])
    harness.shutdown()
    assert [event["sequence"] for event in api.events] == [1, 2, 3, 4, 5, 11, 12]


def test_a_renewed_token_is_the_one_shown(api: EventsApi, harness: Harness[ApiLogger]) -> None:
    harness.initialize(features=PRO, api_endpoint=api.endpoint, custom_settings={"interval_seconds": 60})
    first = harness.plugin.config.jwt
    renewed = harness.update_config(features=PRO, api_endpoint=api.endpoint).jwt
    harness.feed(golden_events()[:1])
    harness.shutdown()
    assert api.tokens == [renewed] and renewed != first


def test_offline_events_wait_and_are_sent_when_a_token_comes(
    api: EventsApi, harness: Harness[ApiLogger], caplog: pytest.LogCaptureFixture
) -> None:
    config = harness.initialize(features=PRO, tier="Pro", api_endpoint=api.endpoint, offline=True)
    assert config.offline and not config.jwt
    assert harness.feed(golden_events()) == []
    harness.update_config(features=PRO, tier="Pro", api_endpoint=api.endpoint, offline=True)
    assert wait_until(lambda: waiting(harness) == len(golden_events())) and api.requests == 0
    harness.update_config(features=PRO, tier="Pro", api_endpoint=api.endpoint)
    assert api.wait_for(len(golden_events()))
    assert [event["id"] for event in api.events] == [event.id for event in golden_events()]
    assert "" not in api.tokens
    said = [record.message for record in caplog.records if record.name == "api-logger"]
    assert said[0] == "there is no token, as this machine is offline: events wait here" and len(said) <= 2


def test_offline_the_backlog_is_bounded_and_the_oldest_are_counted_as_lost(
    api: EventsApi, harness: Harness[ApiLogger], caplog: pytest.LogCaptureFixture
) -> None:
    settings = {"backlog_events": 2000}
    harness.initialize(features=PRO, api_endpoint=api.endpoint, offline=True, custom_settings=settings)
    started = time.monotonic()
    harness.feed(golden_events(repeat=100))
    assert time.monotonic() - started < 5.0  # nobody waits for a network
    assert wait_until(lambda: waiting(harness) <= 2000)
    harness.shutdown()
    lost = len(golden_events(repeat=100))
    assert f"0 events sent, 0 refused by the server, 0 not allowed, {lost} lost" in caplog.messages[-1]
    assert api.requests == 0


def test_a_few_large_messages_fill_the_backlog_too(api: EventsApi, harness: Harness[ApiLogger]) -> None:
    harness.initialize(features=PRO, api_endpoint=api.endpoint, offline=True)
    large = replace(golden_events()[0], message=b'"' + b"x" * (2 << 20) + b'"')
    harness.feed([large] * 40, batch=1)
    assert wait_until(lambda: waiting(harness) <= 16)


def test_what_waits_is_never_sent_after_a_downgrade(api: EventsApi, harness: Harness[ApiLogger]) -> None:
    harness.initialize(features=PRO, api_endpoint=api.endpoint, offline=True)
    harness.feed(golden_events())
    with pytest.raises(FeatureNotAvailableError):
        harness.update_config(api_endpoint=api.endpoint, offline=True)
    harness.update_config(features=PRO, api_endpoint=api.endpoint)
    harness.feed(golden_events()[:1])
    harness.shutdown()
    assert [event["id"] for event in api.events] == [golden_events()[0].id]


def test_a_revoked_token_is_shown_once_and_the_events_go_with_the_next(
    api: EventsApi, harness: Harness[ApiLogger], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_logger, "TOKEN_LOOK_SECONDS", 0.01)
    api.answers = [(401, {})]
    first = harness.initialize(features=PRO, api_endpoint=api.endpoint).jwt
    harness.feed(golden_events())
    assert wait_until(lambda: bool(harness.plugin._revoked))
    harness.feed([replace(golden_events()[0], id="later")])
    second = harness.update_config(features=PRO, api_endpoint=api.endpoint).jwt
    assert api.wait_for(len(golden_events()) + 1)
    assert api.tokens[0] == first and set(api.tokens[1:]) == {second}
    assert [event["id"] for event in api.events] == [*(event.id for event in golden_events()), "later"]


def test_a_feature_the_server_denies_is_not_asked_for_again_until_something_changes(
    api: EventsApi, harness: Harness[ApiLogger], caplog: pytest.LogCaptureFixture
) -> None:
    api.answers = [(403, {})]
    harness.initialize(features=PRO, api_endpoint=api.endpoint, custom_settings={"batch_size": 1})
    harness.feed(golden_events())
    assert wait_until(lambda: harness.plugin.withheld == len(golden_events()))
    assert api.requests == 1 and not api.events
    assert sum("not sent until" in message for message in caplog.messages) == 1
    harness.update_config(features=PRO, api_endpoint=api.endpoint, custom_settings={"batch_size": 1})
    harness.feed(golden_events()[:1])
    assert api.wait_for(1) and [event["id"] for event in api.events] == [golden_events()[0].id]


def test_a_quota_that_is_spent_is_waited_for_as_long_as_the_server_says(
    api: EventsApi, harness: Harness[ApiLogger]
) -> None:
    api.answers = [(429, {"Retry-After": "3600"})]
    harness.initialize(features=PRO, api_endpoint=api.endpoint, custom_settings={"batch_size": 1})
    harness.feed(golden_events())
    assert wait_until(lambda: "429" in harness.plugin._trouble and waiting(harness) == len(golden_events()))
    harness.feed(golden_events(), batch=1)
    assert api.requests == 1 and harness.plugin._batcher is not None
    assert 3500 < harness.plugin._batcher._paused_until - time.monotonic() <= 3600


def test_an_outage_loses_nothing_that_has_room(
    api: EventsApi, harness: Harness[ApiLogger], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_logger, "OUTAGE_SECONDS", 0.01)
    api.answers = [(503, {})] * 3
    harness.initialize(features=PRO, api_endpoint=api.endpoint, custom_settings={"retry_seconds": 0})
    harness.feed(golden_events())
    assert api.wait_for(len(golden_events())) and api.requests == 4
    assert wait_until(lambda: not harness.plugin._trouble)


def test_a_token_that_cannot_be_trusted_ends_it(api: EventsApi, harness: Harness[ApiLogger]) -> None:
    harness.initialize(features=PRO, api_endpoint=api.endpoint, offline=True)
    harness.feed(golden_events())
    with pytest.raises(TokenError):
        harness.update_config(features=PRO, api_endpoint=api.endpoint, jwt="forged")
    harness.feed(golden_events())
    harness.shutdown()
    assert api.requests == 0


def test_an_address_that_would_leak_the_token_is_refused(harness: Harness[ApiLogger]) -> None:
    with pytest.raises(PluginError, match="unencrypted"):
        harness.initialize(features=PRO, api_endpoint="http://api.example.com")


def test_it_runs_as_a_process(api: EventsApi) -> None:
    with PluginProcess([sys.executable, str(PROJECT / "main.py")]) as process:
        assert process.initialize("api-logger", features=PRO, tier="Pro", api_endpoint=api.endpoint).success
        assert process.feed(golden_events()) == 0
    assert process.exit_code == 0
    assert len(api.events) == len(golden_events()), process.errors
