"""What a client says of its machine: this account's plugins and no more, after the lease, and to a real service."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from km_client import config_edit, paths
from km_client.agent import state
from km_client.agent.delivery import Destination
from km_client.agent.machine_report import describe
from km_client.agent.plugin_reports import REPORT_FILE
from km_client.agent.state import AgentState, Totals
from km_client.entitlement.account import Account
from km_client.entitlement.lease_store import place_of
from km_client.entitlement.plugin_tokens import PluginIdentity
from km_client.plugins import report
from km_client.plugins.report import PluginReport, Report
from km_client.plugins.status import Trouble
from km_protocol import api_keys
from km_protocol.api_keys import ApiKey, display

from tests.client.entitlement.conftest import Clock
from tests.client.entitlement.lease_server import LeaseServer
from tests.end_to_end.service import Service
from tests.end_to_end.waiting import eventually

LOGGER = PluginIdentity("api-logger", "1.0.0", "")


def write_down(*plugins: PluginReport) -> None:
    """As the agent does it."""
    paths.make_private(paths.agent_dir())
    assert report.write(paths.agent_dir() / REPORT_FILE, Report(datetime.now(UTC), list(plugins)))


def own(key: ApiKey) -> PluginReport:
    return PluginReport(
        "slow-tools",
        "slow-tools",
        "not_entitled",
        version="1.2.0",
        path="/home/ann/secret/slow-tools",
        trouble=Trouble("settings_invalid", "/home/ann/secret is wrong"),
        missing_features=["api_logging"],
        account=display(key),
        log="/home/ann/secret/log",
    )


def test_it_tells_of_this_accounts_plugins_and_of_no_path(data_dir: Path) -> None:
    mine = api_keys.parse(api_keys.compose("live", "a" * 30))
    write_down(
        own(mine), PluginReport("theirs", "theirs", "running", account="km_live_zzzz"), PluginReport("a", "a", "new")
    )
    told = describe(Destination("https://kilometers.example.com", mine))
    assert told["plugins"] == [
        {
            "name": "slow-tools",
            "version": "1.2.0",
            "state": "not_entitled",
            "reason": "settings_invalid",
            "missing_features": ["api_logging"],
        }
    ]
    assert "secret" not in json.dumps(told)
    assert mine not in json.dumps(told)


def test_it_tells_what_is_taken_out_and_how_often(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KM_CONFIG_DIR", str(tmp_path / "config"))
    mine = Destination("https://kilometers.example.com", api_keys.parse(api_keys.compose("live", "a" * 30)))
    assert describe(mine)["redaction"] == {"enabled": True, "patterns": 0, "allowed": 0, "redacted": {}}
    config_edit.set_value("redaction.patterns.ticket", "TICKET-[0-9]{6}")
    moment = datetime.now(UTC)
    paths.make_private(paths.agent_dir())
    totals = Totals(redacted={"github": 3})
    state.write(paths.agent_dir() / "state.json", AgentState(1, moment, moment, totals=totals))
    assert describe(mine)["redaction"] == {"enabled": True, "patterns": 1, "allowed": 0, "redacted": {"github": 3}}
    config_edit.set_value("redaction.enabled", "false")
    assert "'enabled': False" in str(describe(mine)["redaction"])
    paths.config_file().write_text("redaction = 7")
    assert describe(mine)["redaction"] is None


def test_a_server_that_knows_no_machines_changes_nothing(
    server: LeaseServer, key: ApiKey, clock: Clock, data_dir: Path
) -> None:
    destination = Destination(server.url, key)
    account = Account(
        destination, place_of(destination), wake=lambda: None, describe=partial(describe, destination), clock=clock
    )
    account.start()
    try:
        account.want([LOGGER])
        eventually(lambda: account.token("api-logger"), what="it works")
        assert account.report().problem == ""
    finally:
        account.stop(10.0)


def test_a_fault_in_the_description_ends_no_thread(
    server: LeaseServer, key: ApiKey, clock: Clock, data_dir: Path
) -> None:
    destination = Destination(server.url, key)
    asked = []

    def broken() -> dict[str, object]:
        asked.append(1)
        raise RuntimeError("no host name")

    account = Account(destination, place_of(destination), wake=lambda: None, describe=broken, clock=clock)
    account.start()
    try:
        eventually(lambda: asked, what="it was asked")
        account.want([LOGGER])
        eventually(lambda: account.token("api-logger"), what="it goes on")
    finally:
        account.stop(10.0)


class TestRealService:
    @pytest.fixture
    def service(self, tmp_path: Path) -> Iterator[Service]:
        directory = tmp_path / "service"
        directory.mkdir()
        running = Service(directory).start()
        yield running
        running.stop()

    @pytest.mark.usefixtures("data_dir")
    def test_the_machine_is_known_there_with_its_plugin_and_why_it_is_off(
        self, service: Service, tmp_path: Path
    ) -> None:
        key = api_keys.parse(service.create_customer(tier="free").api_key)
        write_down(own(key))
        destination = Destination(service.url, key)
        account = Account(
            destination, place_of(destination), wake=lambda: None, describe=partial(describe, destination)
        )
        account.start()
        database = next((tmp_path / "service").rglob("*.sqlite3"))

        def rows() -> list[tuple[str, str]]:
            with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
                found = connection.execute("SELECT client_version, plugins FROM customers_machine")
                return [row for row in found if row[1] != "[]"]

        try:
            eventually(rows, what="the machine said what it has")
        finally:
            account.stop(10.0)
        ((version, plugins),) = rows()
        assert version
        assert [(one["name"], one["missing_features"]) for one in json.loads(plugins)] == [
            ("slow-tools", ["api_logging"])
        ]
