"""A lease is renewed when the server wants it, holds without a network until its end, and ends when it says so."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

import msgspec
import pytest
from km_client.agent.delivery import Destination
from km_client.entitlement.lease_store import Kept, place_of
from km_plugin_sdk.admission import FREE_FEATURES
from km_protocol.api_keys import ApiKey
from km_protocol.claims import GRACE_SECONDS, LEASE_SECONDS, LeaseState

from tests.client.entitlement.conftest import BORN, Clock, Open
from tests.client.entitlement.lease_server import KEYS, STATUS, LeaseServer
from tests.end_to_end.waiting import eventually

PRO = FREE_FEATURES | {"api_logging"}


def test_the_first_lease_is_asked_for_at_once_and_told(open_account: Open, server: LeaseServer, data_dir: Path) -> None:
    account = open_account()
    account.wait_for_state("valid")
    assert account.now().features == PRO
    assert (account.now().tier, account.now().customer_id, account.now().status) == ("Pro", "cus_1", "active")
    eventually(lambda: account.woken == 1, what="the agent is woken")
    assert account.generation == 1
    assert server.machines == [(data_dir / "machine").read_text().strip()]
    assert dict(server.asked) == {STATUS: 1, KEYS: 1}


def test_before_the_server_answered_only_what_is_free_holds(open_account: Open, server: LeaseServer) -> None:
    server.hang(STATUS)
    account = open_account()
    assert server.held.wait(20)
    assert (account.now().features, account.now().state, account.generation) == (FREE_FEATURES, None, 0)


def test_a_lease_counts_at_the_next_start_without_a_network(open_account: Open, server: LeaseServer) -> None:
    open_account().wait_for_state("valid")
    server.stop()
    account = open_account()
    assert account.now().features == PRO  # from the first moment
    assert (account.now().lease != "", account.now().keys != "") == (True, True)
    account.wait_for_problem("connection refused")
    assert account.now().features == PRO


def test_without_a_network_it_holds_until_its_end_then_its_grace_then_only_what_is_free(
    open_account: Open, server: LeaseServer, clock: Clock
) -> None:
    account = open_account()
    account.wait_for_state("valid")
    server.stop()
    seen = []
    for moment in (301, LEASE_SECONDS - 1, LEASE_SECONDS, GRACE_SECONDS - 1, GRACE_SECONDS):
        clock.seconds = BORN + moment
        seen.append((account.now().state, account.now().features == PRO))
    due, grace = LeaseState.REFRESH_DUE, LeaseState.GRACE
    assert seen == [(due, True), (due, True), (grace, True), (grace, True), (LeaseState.EXPIRED, False)]
    assert (account.now().tier, account.now().lease) == ("Free", "")


def test_the_generation_grows_when_a_lease_ends_by_the_clock_and_not_when_a_refresh_is_due(
    open_account: Open, server: LeaseServer, clock: Clock
) -> None:
    account = open_account()
    account.wait_for_state("valid")
    server.stop()
    assert account.generation == 1
    for moment, generation in ((301, 1), (LEASE_SECONDS, 2), (GRACE_SECONDS, 3)):
        clock.seconds = BORN + moment
        assert account.generation == generation


@pytest.mark.parametrize("restarted", [False, True])
def test_a_lease_that_was_seen_to_end_is_not_revived_by_any_clock(
    restarted: bool, open_account: Open, server: LeaseServer, clock: Clock, key: ApiKey
) -> None:
    account = open_account()
    account.wait_for_state("valid")
    server.stop()
    clock.advance(GRACE_SECONDS)
    account.wait_for_state("expired")
    if restarted:
        account.refresh()  # what was seen is written down by the account's thread
        account.stop(10.0)
        account = open_account()
    clock.seconds = BORN + 60.0
    assert (account.now().state, account.now().features) == ("expired", FREE_FEATURES)
    server.start()
    account.refresh()
    assert account.now().state == "valid"


@pytest.mark.parametrize("restarted", [False, True])
def test_a_clock_below_the_newest_signed_time_allows_nothing_but_a_small_skew_does(
    restarted: bool, open_account: Open, server: LeaseServer, clock: Clock
) -> None:
    account = open_account()
    account.wait_for_state("valid")
    server.stop()
    if restarted:
        account.stop(10.0)
        account = open_account()
    clock.seconds = BORN - 300.0
    assert account.now().features == PRO
    clock.seconds = BORN - 301.0
    assert (account.now().state, account.now().features) == ("clock_set_back", FREE_FEATURES)
    assert "clock is 301 s behind" in account.report().problem
    clock.seconds = BORN + 1.0
    assert account.now().features == PRO  # it was a mistake, and was put right


def test_a_clock_that_is_days_ahead_is_named_as_the_reason(
    open_account: Open, server: LeaseServer, clock: Clock
) -> None:
    server.clock = lambda: clock.seconds - 8 * 24 * 3600
    account = open_account()
    account.refresh()
    assert (account.now().state, account.now().features) == ("expired", FREE_FEATURES)
    assert f"clock is {8 * 24 * 3600} s ahead" in account.report().problem
    clock.advance(-8 * 24 * 3600)
    server.clock = clock
    account.refresh()
    assert (account.now().state, account.report().problem) == ("valid", "")


def test_the_floor_only_grows(open_account: Open, server: LeaseServer, clock: Clock) -> None:
    account = open_account()
    account.wait_for_state("valid")
    server.twist = {"iat": BORN - 200}  # another of the server's machines, whose clock is slow
    account.refresh()
    kept = msgspec.json.decode(account.place.read_bytes(), type=Kept)
    assert (kept.seq, kept.floor) == (2, BORN)


def test_a_downgrade_and_an_upgrade_are_seen_within_one_refresh(
    open_account: Open, server: LeaseServer, key: ApiKey
) -> None:
    account = open_account()
    account.wait_for_state("valid")
    customer = server.customer(key)
    customer.tier, customer.features = "Free", ["console_logging"]
    account.refresh()
    assert (account.now().tier, account.now().features, account.generation) == ("Free", FREE_FEATURES, 2)
    customer.tier, customer.features = "Enterprise", ["console_logging", "api_logging", "advanced_analytics"]
    account.refresh()
    assert (account.now().tier, account.generation) == ("Enterprise", 3)
    assert account.now().features == PRO | {"advanced_analytics"}
    eventually(lambda: account.woken == 3, what="the agent is woken each time")


def test_a_refresh_that_changes_nothing_wakes_nobody(open_account: Open, clock: Clock) -> None:
    account = open_account()
    account.wait_for_state("valid")
    before = account.now().lease
    clock.advance(20)
    account.refresh()
    assert account.now().lease != before
    assert (account.generation, account.woken) == (1, 1)


def test_it_asks_again_by_itself_when_the_server_wants_it(open_account: Open, server: LeaseServer) -> None:
    server.refresh_seconds = 1
    account = open_account(jitter=min)
    eventually(lambda: account.rounds >= 3, what="two refreshes follow")
    assert server.asked[KEYS] == 1


@pytest.mark.parametrize(("fraction", "seconds"), [(0.0, 270), (0.5, 300), (1.0, 330)])
def test_accounts_do_not_ask_in_step(fraction: float, seconds: int, open_account: Open) -> None:
    account = open_account(jitter=lambda low, high: low + fraction * (high - low))
    account.refresh()
    due = account.report().next_refresh_at
    assert due is not None
    assert due.timestamp() == pytest.approx(BORN + seconds, abs=20)


@pytest.mark.parametrize("status", [500, 502, 503, 429, 302, 404])
def test_a_server_in_trouble_takes_nothing_away(
    status: int, open_account: Open, server: LeaseServer, clock: Clock
) -> None:
    account = open_account()
    account.wait_for_state("valid")
    server.fail(STATUS, status, Location="https://login.example.com")
    account.refresh()
    assert account.report().problem
    clock.advance(LEASE_SECONDS - 1)
    assert account.now().features == PRO


def test_failures_are_followed_by_growing_pauses_with_full_jitter(open_account: Open, server: LeaseServer) -> None:
    drawn: list[tuple[float, float]] = []

    def jitter(low: float, high: float) -> float:
        drawn.append((low, high))
        return high / 10

    server.fail(STATUS, 503)
    account = open_account(jitter=jitter)
    eventually(lambda: len(drawn) >= 4, what="it is tried four times")
    assert drawn[:4] == [(0.0, 0.5), (0.0, 1.0), (0.0, 2.0), (0.0, 4.0)]
    server.heal(STATUS)
    account.wait_for_state("valid")
    assert account.report().problem == ""


def test_retry_after_is_honoured(open_account: Open, server: LeaseServer) -> None:
    server.fail(STATUS, 503, Retry_After="120")
    account = open_account()
    account.refresh()
    due = account.report().next_refresh_at
    assert due is not None and due.timestamp() == pytest.approx(BORN + 120, abs=20)


def test_a_login_page_that_answers_200_is_no_lease(open_account: Open, server: LeaseServer) -> None:
    account = open_account()
    account.wait_for_state("valid")
    server.fail(STATUS, 200, code="")
    account.refresh()
    assert "login page" in account.report().problem
    assert account.now().features == PRO


REVOKED = [("revoked_api_key", "revoked"), ("expired_api_key", "revoked"), ("customer_suspended", "suspended")]


@pytest.mark.parametrize(("code", "state"), REVOKED)
def test_a_key_that_the_server_revoked_ends_what_it_paid_for_at_once(
    code: str, state: str, open_account: Open, server: LeaseServer, key: ApiKey
) -> None:
    account = open_account()
    account.wait_for_state("valid")
    server.customer(key).refusal = code
    account.refresh()
    now = account.now()
    assert (now.state, now.features, now.lease, now.tier) == (state, FREE_FEATURES, "", "Free")
    assert "was refused" in account.report().problem
    assert (account.generation, account.report().offline_until) == (2, None)
    server.customer(key).refusal = ""
    account.refresh()
    assert account.now().features == PRO
    assert account.report().problem == ""


def test_a_revoked_key_stays_so_after_a_restart_without_a_network(
    open_account: Open, server: LeaseServer, key: ApiKey
) -> None:
    account = open_account()
    account.wait_for_state("valid")
    server.customer(key).refusal = "revoked_api_key"
    account.refresh()
    account.stop(10.0)
    server.stop()
    account = open_account()
    assert (account.now().state, account.now().features) == ("revoked", FREE_FEATURES)
    account.wait_for_problem("the API key was refused; cannot reach")


@pytest.mark.parametrize(("status", "code"), [(401, "unknown_api_key"), (401, "unauthenticated"), (403, "forbidden")])
def test_a_server_that_does_not_know_the_key_is_reported_and_the_lease_counts_until_its_end(
    status: int, code: str, open_account: Open, server: LeaseServer, clock: Clock
) -> None:
    account = open_account()
    account.wait_for_state("valid")
    server.fail(STATUS, status, code)
    account.refresh()
    assert "this test wants it so" in account.report().problem
    assert account.now().features == PRO
    clock.advance(GRACE_SECONDS)
    assert account.now().features == FREE_FEATURES


@pytest.mark.parametrize("status", ["unpaid", "paused", "canceled"])
def test_who_does_not_pay_keeps_what_is_free(status: str, open_account: Open, server: LeaseServer, key: ApiKey) -> None:
    account = open_account()
    account.wait_for_state("valid")
    server.customer(key).status = status
    account.refresh()
    assert (account.now().features, account.now().status) == (FREE_FEATURES, status)


def test_the_file_is_its_owners_alone_and_does_not_hold_the_key(
    open_account: Open, server: LeaseServer, key: ApiKey, data_dir: Path
) -> None:
    account = open_account()
    account.refresh()
    eventually(account.place.exists, what="it is written")
    assert stat.S_IMODE(account.place.stat().st_mode) == 0o600
    assert account.place == place_of(Destination(server.url, key))
    assert account.place.parent == data_dir / "agent" / "leases"
    assert key.encode() not in account.place.read_bytes()
    assert key not in account.place.name
    assert [path.name for path in account.place.parent.iterdir()] == [account.place.name]


def _torn(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _lease_changed(content: bytes) -> bytes:
    kept = msgspec.json.decode(content)
    return msgspec.json.encode(kept | {"lease": kept["lease"][:-8] + "AAAAAAAA"})


def _lease_cut(content: bytes) -> bytes:
    kept = msgspec.json.decode(content)
    return msgspec.json.encode(kept | {"lease": kept["lease"][:100]})


def _another_customer(content: bytes) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(content) | {"customer_id": "cus_2"})


@pytest.mark.parametrize(
    "damage",
    [_torn, _lease_changed, _lease_cut, _another_customer, lambda _: b"", lambda _: b"\0" * 500, lambda _: b"[]"],
)
def test_a_damaged_file_is_ignored_said_and_replaced(
    damage: object, open_account: Open, server: LeaseServer, caplog: pytest.LogCaptureFixture
) -> None:
    account = open_account()
    account.refresh()
    account.stop(10.0)
    account.place.write_bytes(damage(account.place.read_bytes()))  # type: ignore[operator]
    server.hang(STATUS)
    with caplog.at_level(logging.WARNING):
        again = open_account()
    assert again.now().features == FREE_FEATURES
    assert "is ignored" in caplog.text
    server.let_go.set()
    again.wait_for_state("valid")
    eventually(lambda: _is_whole(again.place), what="it is written anew")


def _is_whole(path: Path) -> bool:
    return bool(msgspec.json.decode(path.read_bytes() or b"{}", type=Kept).lease) if path.exists() else False


def test_where_nothing_can_be_kept_the_lease_is_good_for_this_agent_and_that_is_said(
    open_account: Open, tmp_path: Path, clock: Clock, server: LeaseServer
) -> None:
    (tmp_path / "file").write_text("where a directory should be")
    account = open_account(place=tmp_path / "file" / "lease.json")
    account.wait_for_state("valid")
    account.wait_for_problem("good until the agent ends")
    server.stop()
    clock.advance(LEASE_SECONDS)
    assert account.now().features == PRO


def test_the_report_says_how_it_stands(open_account: Open, server: LeaseServer, key: ApiKey) -> None:
    account = open_account()
    account.refresh()
    report = account.report()
    assert (report.url, report.customer_id, report.tier, report.status) == (server.url, "cus_1", "Pro", "active")
    assert (report.features, report.lease_state, report.problem) == (sorted(PRO), "valid", "")
    assert report.refreshed_at is not None and report.refreshed_at.timestamp() == BORN
    assert report.offline_until is not None and report.offline_until.timestamp() == BORN + GRACE_SECONDS
    assert key.startswith(report.key) and len(report.key) == 12


def test_a_machine_that_slept_asks_as_soon_as_it_is_awake(
    open_account: Open, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("km_client.entitlement.account.LOOK_SECONDS", 0.05)
    account = open_account()
    account.refresh()
    before = account.rounds
    clock.advance(3600)
    eventually(lambda: account.rounds > before, what="it asks")
    assert account.now().state == "valid"
