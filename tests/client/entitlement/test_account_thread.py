"""The account's thread never fails, ends when told, leaves nothing, and says nothing that is secret."""

from __future__ import annotations

import gc
import logging
import threading
import warnings
from pathlib import Path

import psutil
import pytest
from km_client.agent.delivery import Destination
from km_client.entitlement.account import Account
from km_client.entitlement.conversation import Conversation
from km_client.entitlement.lease_store import place_of
from km_client.entitlement.plugin_tokens import PluginIdentity
from km_plugin_sdk.admission import FREE_FEATURES
from km_protocol.api_keys import ApiKey

from tests.client.entitlement.conftest import Clock, Open
from tests.client.entitlement.lease_server import AUTHENTICATE, STATUS, LeaseServer
from tests.end_to_end.waiting import eventually

LOGGER = PluginIdentity("api-logger", "1.0.0", "")


def test_nothing_is_left_after_stop(open_account: Open, server: LeaseServer) -> None:
    threads, here = set(threading.enumerate()), psutil.Process()
    account = open_account()
    account.want([LOGGER])
    eventually(lambda: account.token("api-logger"), what="it works")
    account.stop(10.0)
    assert not account.thread.is_alive()
    assert not [one for one in here.net_connections() if one.raddr[1:] == (server.port,)]
    eventually(lambda: not [one for one in threading.enumerate() if one not in threads and not _serves(one)])
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        gc.collect()


def _serves(thread: threading.Thread) -> bool:
    return "process_request" in thread.name


def test_stop_waits_no_longer_than_told_and_what_comes_later_is_ignored(
    open_account: Open, server: LeaseServer
) -> None:
    server.hang(STATUS)
    account = open_account()
    assert server.held.wait(20)
    account.stop(0.05)
    assert account.thread.is_alive()  # the request is under way
    server.let_go.set()
    account.thread.join(20)
    assert not account.thread.is_alive()
    assert not account.place.exists()
    assert account.now().features == FREE_FEATURES


def test_stop_cuts_a_long_wait_short(open_account: Open) -> None:
    account = open_account()
    account.refresh()
    account.stop(10.0)
    assert not account.thread.is_alive()


def test_an_account_that_was_never_started_can_be_stopped(server: LeaseServer, key: ApiKey, data_dir: Path) -> None:
    destination = Destination(server.url, key)
    account = Account(destination, place_of(destination), wake=lambda: None)
    assert account.now().features == FREE_FEATURES
    account.stop(1.0)


def test_nobody_waits_for_a_server_that_hangs(open_account: Open, server: LeaseServer) -> None:
    server.hang(STATUS)
    account = open_account()
    assert server.held.wait(20)
    account.want([LOGGER])
    account.refresh_now()
    assert (account.token("api-logger"), account.generation, account.now().state) == ("", 0, None)
    assert account.report().lease_state == ""


def test_what_changes_during_a_request_is_asked_for_after_it(
    open_account: Open, server: LeaseServer, key: ApiKey
) -> None:
    account = open_account()
    account.refresh()
    server.hang(STATUS)
    account.refresh_now()
    assert server.held.wait(20)
    account.refresh_now()  # an upgrade, while the answer of before is on its way
    before = server.asked[STATUS]
    server.let_go.set()
    eventually(lambda: server.asked[STATUS] == before + 1, what="it asks once more")


def test_a_bug_costs_a_pause_and_is_said(
    open_account: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    account = open_account()
    account.refresh()
    with monkeypatch.context() as patch:
        patch.setattr(Conversation, "lease", lambda *_, **__: 1 / 0)
        account.refresh()
        assert "ZeroDivisionError" in account.report().problem
    account.refresh()
    assert account.report().problem == ""
    assert "could not be asked" in caplog.text


def test_the_key_is_in_no_log_and_no_report_even_if_the_server_repeats_it(
    open_account: Open, server: LeaseServer, caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    caplog.set_level(logging.DEBUG)
    good = open_account()
    good.want([LOGGER])
    eventually(lambda: good.token("api-logger"), what="it works")
    key = good._destination.key
    unknown = ApiKey(key[:-1] + ("0" if key[-1] != "0" else "1"))
    account = open_account(unknown)
    account.wait_for_problem("no such API key: Bearer km_test_0000…")  # what this server answers, with the key in it
    server.stop()
    good.refresh()
    for one in (account, good):
        assert key not in repr(one.report()) and unknown not in repr(one.report())
    assert key not in caplog.text and unknown not in caplog.text
    assert good.now().lease not in caplog.text and good.token("api-logger") not in caplog.text


def test_a_servers_page_of_words_is_cut(open_account: Open, server: LeaseServer) -> None:
    server._faults[STATUS] = server.answer("GET", "/nowhere", "", b"")._replace(
        status=403, body={"error": {"code": "x", "message": "so\n\x1b[2J " * 500, "hint": ""}}
    )
    account = open_account()
    account.refresh()
    assert len(account.report().problem) <= 300
    assert account.report().problem.isprintable()


def test_two_servers_do_not_share_anything(open_account: Open, server: LeaseServer) -> None:
    first, second = open_account(), open_account(server.new_key(tier="Free", features=["console_logging"]))
    first.refresh()
    second.refresh()
    assert (first.now().tier, second.now().tier) == ("Pro", "Free")
    assert first.place != second.place
    assert len(set(server.machines)) == 1  # one machine all the same


def test_a_hung_plugin_endpoint_keeps_nobody_from_reading(open_account: Open, server: LeaseServer) -> None:
    account = open_account()
    account.refresh()
    server.hang(AUTHENTICATE)
    account.want([LOGGER])
    assert server.held.wait(20)
    assert account.now().state == "valid"
    assert account.report().tier == "Pro"
