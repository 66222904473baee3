"""Each wanted plugin has a token that it would accept, or none; the lease is refreshed whatever becomes of them."""

from __future__ import annotations

import jwt
import pytest
from km_client.entitlement.plugin_tokens import PluginIdentity
from km_plugin_sdk import validate_token
from km_protocol.api_keys import ApiKey

from tests.client.entitlement.conftest import BORN, Clock, Open, Opened
from tests.client.entitlement.lease_server import AUTHENTICATE, KEYS, STATUS, LeaseServer, Signer
from tests.end_to_end.waiting import eventually

LOGGER = PluginIdentity("api-logger", "1.0.0", "")
STATS = PluginIdentity("tool-stats", "2.1.0", "sig")


def token_of(account: Opened, name: str = "api-logger", *, other_than: str = "") -> str:
    def found() -> str:
        token = account.token(name)
        return token if token != other_than else ""

    return eventually(found, within=20, what=f"a new token of {name}: {account.report()}")


def features_in(token: str) -> list[str]:
    found: list[str] = jwt.decode(token, options={"verify_signature": False})["features"]
    return found


def test_a_wanted_plugin_gets_a_token_at_once_that_it_accepts(open_account: Open, server: LeaseServer) -> None:
    account = open_account()
    account.want([LOGGER, STATS])
    for name in ("api-logger", "tool-stats"):
        token = token_of(account, name)
        claims = validate_token(token, keys=account.now().keys, plugin_name=name, customer_id="cus_1", at=BORN)
        assert (claims.tier, "api_logging" in claims.features) == ("Pro", True)
    assert account.token("other") == ""
    assert sorted(server.plugins_asked, key=lambda asked: asked["plugin_name"]) == [
        {"plugin_name": "api-logger", "plugin_version": "1.0.0", "plugin_signature": "", "customer_id": "cus_1"},
        {"plugin_name": "tool-stats", "plugin_version": "2.1.0", "plugin_signature": "sig", "customer_id": "cus_1"},
    ]


def test_the_generation_grows_and_the_agent_is_woken_with_every_new_token(open_account: Open) -> None:
    account = open_account()
    account.refresh()
    account.want([LOGGER])
    token_of(account)
    assert account.generation == 2
    eventually(lambda: account.woken == 2, what="the agent is woken")


def test_a_plugin_wanted_in_the_middle_gets_its_token_without_a_refresh(
    open_account: Open, server: LeaseServer
) -> None:
    account = open_account()
    account.want([LOGGER])
    first = token_of(account)
    account.want([LOGGER, STATS])
    token_of(account, "tool-stats")
    assert account.token("api-logger") == first
    assert (server.asked[STATUS], server.asked[AUTHENTICATE]) == (1, 2)


def test_what_is_no_longer_wanted_is_forgotten_and_not_renewed(
    open_account: Open, server: LeaseServer, clock: Clock
) -> None:
    account = open_account()
    account.want([LOGGER])
    token_of(account)
    account.want([])
    assert account.token("api-logger") == ""
    clock.advance(800)
    account.refresh()
    assert server.asked[AUTHENTICATE] == 1


def test_another_version_of_a_plugin_gets_another_token(open_account: Open, server: LeaseServer) -> None:
    account = open_account()
    account.want([LOGGER])
    first = token_of(account)
    account.want([LOGGER._replace(version="1.1.0")])
    token_of(account, other_than=first)
    assert [asked["plugin_version"] for asked in server.plugins_asked] == ["1.0.0", "1.1.0"]


def test_a_refresh_renews_a_token_that_is_more_than_half_spent_and_no_other(
    open_account: Open, server: LeaseServer, clock: Clock
) -> None:
    account = open_account()
    account.want([LOGGER])
    first = token_of(account)
    clock.seconds = BORN + 450.0 - 1
    account.refresh()
    account.want([LOGGER, STATS])
    token_of(account, "tool-stats")  # had the other been renewed, it would have been before this one
    assert account.token("api-logger") == first
    clock.seconds = BORN + 450.0
    account.refresh()
    token_of(account, other_than=first)


def test_a_token_is_renewed_in_time_however_rarely_the_lease_is(open_account: Open, server: LeaseServer) -> None:
    server.refresh_seconds, server.token_seconds = 86_400, 40
    account = open_account(jitter=lambda low, high: -27.5 if (low, high) == (-3.0, 3.0) else 0.0)
    account.want([LOGGER])
    token_of(account)
    eventually(lambda: server.asked[AUTHENTICATE] >= 2, what="it is renewed by itself")
    assert server.asked[STATUS] == 1


def test_a_change_of_tier_renews_the_tokens_at_once(open_account: Open, server: LeaseServer, key: ApiKey) -> None:
    account = open_account()
    account.want([LOGGER])
    first = token_of(account)
    server.customer(key).features.append("advanced_analytics")
    account.refresh()
    assert "advanced_analytics" in features_in(token_of(account, other_than=first))


def test_a_failed_renewal_keeps_the_old_token_until_shortly_before_its_end(
    open_account: Open, server: LeaseServer, clock: Clock
) -> None:
    account = open_account()
    account.want([LOGGER])
    first = token_of(account)
    server.fail(AUTHENTICATE, 503)
    clock.seconds = BORN + 869.0
    account.refresh()
    account.wait_for_problem("no token for the plugin `api-logger`: this test wants it so")
    assert account.token("api-logger") == first
    generation = account.generation
    clock.seconds = BORN + 870.0
    assert account.token("api-logger") == ""
    assert account.generation > generation
    server.heal(AUTHENTICATE)
    account.refresh_now()
    token_of(account)
    eventually(lambda: account.report().problem == "", what="all is well")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 503])
def test_tokens_that_cannot_be_had_do_not_hold_up_the_lease(
    status: int, open_account: Open, server: LeaseServer, clock: Clock
) -> None:
    server.fail(AUTHENTICATE, status)
    account = open_account()
    account.want([LOGGER, STATS])
    account.wait_for_problem("no token for the plugin `tool-stats`")
    before = account.now().lease
    clock.advance(10)
    account.refresh()
    assert account.now().state == "valid"
    assert account.now().lease != before


def test_a_lease_that_cannot_be_had_does_not_hold_up_the_tokens(open_account: Open, server: LeaseServer) -> None:
    open_account().refresh()
    server.fail(STATUS, 503)
    account = open_account(jitter=lambda *_: 0.0)  # the lease is asked for again without a pause
    account.want([LOGGER, STATS])
    token_of(account)
    token_of(account, "tool-stats")


def test_a_plugin_that_the_server_does_not_know_is_not_asked_for_over_and_over(
    open_account: Open, server: LeaseServer
) -> None:
    server.fail(AUTHENTICATE, 400)
    account = open_account(jitter=lambda *_: 0.0)
    account.want([LOGGER])
    account.wait_for_problem("no token")
    account.want([LOGGER, STATS])
    account.wait_for_problem("tool-stats")
    assert server.asked[AUTHENTICATE] == 2


def test_a_revoked_key_takes_the_tokens_with_it_and_nobody_asks_for_more(
    open_account: Open, server: LeaseServer, key: ApiKey
) -> None:
    account = open_account()
    account.want([LOGGER])
    token_of(account)
    server.customer(key).refusal = "revoked_api_key"
    account.refresh()
    assert account.token("api-logger") == ""
    asked = server.asked[AUTHENTICATE]
    account.want([LOGGER, STATS])
    account.refresh()
    assert server.asked[AUTHENTICATE] == asked
    server.customer(key).refusal = ""
    account.refresh()
    token_of(account)
    token_of(account, "tool-stats")


def test_a_key_found_revoked_by_a_plugins_request_ends_at_once(
    open_account: Open, server: LeaseServer, key: ApiKey
) -> None:
    account = open_account()
    account.refresh()
    server.customer(key).refusal = "revoked_api_key"
    account.want([LOGGER])
    account.wait_for_state("revoked")


FORGED: dict[str, dict[str, object]] = {
    "another plugin's": {"aud": "km:plugin:other"},
    "another customer's": {"customer_id": "cus_99"},
    "for the API": {"aud": "km:api"},
    "of another issuer": {"iss": "evil"},
    "ended": {"exp": BORN - 100, "iat": BORN - 1000},
}


@pytest.mark.parametrize("forgery", FORGED)
def test_a_token_that_its_plugin_would_refuse_is_not_handed_out(
    forgery: str, open_account: Open, server: LeaseServer
) -> None:
    server.token_twist = FORGED[forgery]
    account = open_account()
    account.want([LOGGER])
    account.wait_for_problem("no token for the plugin `api-logger`")
    assert account.token("api-logger") == ""


def test_a_token_of_a_key_nobody_published_is_refused(open_account: Open, server: LeaseServer) -> None:
    account = open_account()
    account.refresh()
    server.signer = Signer.new("strange")
    account.want([LOGGER])
    account.wait_for_problem("no Ed25519 key `strange`")
    assert account.token("api-logger") == ""


def test_a_token_of_a_new_signing_key_brings_the_new_keys_along(open_account: Open, server: LeaseServer) -> None:
    account = open_account()
    account.refresh()
    server.rotate("second")
    account.want([LOGGER])
    token = token_of(account)
    validate_token(token, keys=account.now().keys, plugin_name="api-logger", customer_id="cus_1", at=BORN)
    assert server.asked[KEYS] == 2


@pytest.mark.parametrize("behind", [29, 60, 250])
def test_on_a_slow_clock_a_token_is_handed_out_once_its_plugin_would_accept_it(
    behind: int, open_account: Open, server: LeaseServer, clock: Clock
) -> None:
    server.clock = lambda: clock.seconds + behind
    account = open_account()
    account.want([LOGGER])
    eventually(lambda: server.asked[AUTHENTICATE] and not account.report().problem, what="it was fetched")
    account.refresh()
    assert account.now().state == "valid"
    if behind > 30:
        assert account.token("api-logger") == ""
    clock.advance(max(0, behind - 30))
    assert token_of(account)


def test_the_newest_signed_time_may_be_a_tokens(open_account: Open, server: LeaseServer, clock: Clock) -> None:
    account = open_account()
    account.refresh()
    server.fail(STATUS, 503)  # no newer lease
    clock.advance(1000)
    account.want([LOGGER])
    token_of(account)
    server.stop()
    clock.seconds = BORN + 600.0
    assert account.now().state == "clock_set_back"
