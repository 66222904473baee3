"""What api-logger sends, against a server with the real one's rules."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_logger import ApiLogger
from km_plugin_sdk import PluginError
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


def test_without_its_feature_nothing_leaves_the_machine(api: EventsApi, harness: Harness[ApiLogger]) -> None:
    harness.initialize(api_endpoint=api.endpoint)
    assert harness.feed(golden_events()) == []
    harness.shutdown()
    assert api.requests == 0


def test_an_upgrade_starts_it_and_a_downgrade_ends_it(api: EventsApi, harness: Harness[ApiLogger]) -> None:
    harness.initialize(api_endpoint=api.endpoint)
    harness.feed(golden_events()[:5])
    harness.update_config(features=PRO, tier="Pro", api_endpoint=api.endpoint)
    harness.feed(golden_events()[5:10])
    harness.update_config(api_endpoint=api.endpoint)
    harness.feed(golden_events()[10:])
    harness.shutdown()
    assert [event["sequence"] for event in api.events] == [6, 7, 8, 9, 10]


def test_a_renewed_token_is_the_one_shown(api: EventsApi, harness: Harness[ApiLogger]) -> None:
    harness.initialize(features=PRO, api_endpoint=api.endpoint, custom_settings={"interval_seconds": 60})
    first = harness.plugin.config.jwt
    renewed = harness.update_config(features=PRO, api_endpoint=api.endpoint).jwt
    harness.feed(golden_events()[:1])
    harness.shutdown()
    assert api.tokens == [renewed] and renewed != first


def test_an_address_that_would_leak_the_token_is_refused(harness: Harness[ApiLogger]) -> None:
    with pytest.raises(PluginError, match="unencrypted"):
        harness.initialize(features=PRO, api_endpoint="http://api.example.com")


def test_it_runs_as_a_process(api: EventsApi) -> None:
    with PluginProcess([sys.executable, str(PROJECT / "main.py")]) as process:
        assert process.initialize("api-logger", features=PRO, tier="Pro", api_endpoint=api.endpoint).success
        assert process.feed(golden_events()) == 0
    assert process.exit_code == 0
    assert len(api.events) == len(golden_events()), process.errors
