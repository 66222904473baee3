"""The plugin written from the development guide's own text: it builds, and a host can run it."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from km_plugin_sdk.testing import EventsApi, PluginProcess, TokenIssuer, golden_events
from km_protocol.kmpkg import manifest as manifests

from tests.sdk.go_toolchain import HAS_GO, ROOT, run_go

PROJECT = Path(__file__).parent / "guide_plugin"
pytestmark = pytest.mark.skipif(not HAS_GO, reason="Go is not installed")


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("guide") / "my-plugin"
    run_go("build", "-o", str(path), "main.go", cwd=PROJECT)  # the guide's own command
    return str(path)


def test_its_manifest_is_accepted_as_the_guide_prints_it() -> None:
    assert manifests.parse((PROJECT / "manifest.json").read_bytes()).entry == "my-plugin"


@pytest.mark.parametrize("tls", [False, True])
def test_it_sees_every_event(binary: str, tls: bool) -> None:
    with PluginProcess([binary], tls=tls) as process:
        assert process.initialize("my-plugin", debug=True).success
        assert process.feed(golden_events()) == 0  # one by one: it has no batch call
    for event in golden_events():
        assert f"[{event.type}] {event.direction} {event.id}" in process.errors
    assert process.exit_code == 0


def test_it_sends_events_to_the_api_on_the_pro_tier(binary: str) -> None:
    events = [event for event in golden_events() if event.message.startswith(b"{")]
    with EventsApi() as api, PluginProcess([binary]) as process:
        pro = {"features": ["console_logging", "api_logging"], "tier": "Pro", "api_endpoint": api.endpoint}
        assert process.initialize("my-plugin", **pro).success
        for event in events[:3]:
            assert process.handle(event).success
    assert api.requests == 3


def test_it_refuses_tokens_as_the_guides_checklist_asks(binary: str) -> None:
    issuer, now = TokenIssuer(), time.time()
    tokens = [
        issuer.token(plugin_name="my-plugin", customer_id="cus_other", at=now),
        issuer.token(plugin_name="other", customer_id="cus_test", at=now),
        issuer.token(plugin_name="my-plugin", customer_id="cus_test", at=now - 3600),
        TokenIssuer().token(plugin_name="my-plugin", customer_id="cus_test", at=now),
    ]
    with PluginProcess([binary]) as process:
        for token in tokens:
            with pytest.raises(GRPCError, match="authentication failed"):
                process.initialize("my-plugin", jwt=token, token_keys=issuer.jwks)


def test_calls_it_does_not_know_are_unimplemented_which_a_host_copes_with(binary: str) -> None:
    with PluginProcess([binary]) as process:
        process.initialize("my-plugin")
        for call in (process.info, process.update_config):
            with pytest.raises(GRPCError) as caught:
                call()
            assert caught.value.status is Status.UNIMPLEMENTED


def test_every_place_it_differs_from_the_guide_is_listed() -> None:
    """Files of the fixture that the guide does not show by name must be explained."""
    listed = (ROOT / "docs/plugins/guide-differences.md").read_text()
    for path in PROJECT.rglob("*.go"):
        assert re.search(rf"`{re.escape(str(path.relative_to(PROJECT)))}`", listed), f"{path.name} is not mentioned"
