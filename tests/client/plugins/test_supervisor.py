"""Several plugins under one supervisor: started, told, stopped and forgotten by their keys, and never waited for."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from km_client.plugins.settings import HostSettings
from km_client.plugins.status import PluginStatus
from km_client.plugins.supervisor import Instance, PluginSupervisor
from km_plugin_sdk.wire import plugin_pb2

from tests.client.plugins.conftest import MakeMisfit, MakePlugin
from tests.client.plugins.supervised import PATIENCE_SECONDS, begin, event, only, trying, until, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the launcher is Linux's")


class Account:
    """What plugins are configured with, and how often."""

    def __init__(self) -> None:
        self.made = 0

    def configure(self, _key: str) -> plugin_pb2.PluginConfig:
        self.made += 1
        config = plugin_pb2.PluginConfig(
            customer_id="cus_test", api_endpoint="https://api.example.com", tier="Pro", log_level="warn"
        )
        config.custom_settings.update({"limit": 3})
        return config


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def of_account(impatient: HostSettings, account: Account) -> Iterator[PluginSupervisor]:
    supervisor = PluginSupervisor(impatient, account.configure)
    yield supervisor
    supervisor.stop()


def test_a_new_configuration_reaches_a_running_plugin_whole_and_without_a_restart(
    of_account: PluginSupervisor, account: Account, make_plugin: MakePlugin, settings: HostSettings
) -> None:
    first = begin(of_account, make_plugin("python"))
    of_account.reconfigure([first.key])
    of_account.reconfigure(["unknown"])
    log = Path(first.log)
    until(of_account, lambda _: log.read_text().count("reconfigured ") == 1)
    told, again = (line for line in log.read_text().splitlines() if "configured " in line)
    assert told.partition("configured ")[2] == again.partition("configured ")[2]
    for part in ("https://api.example.com", "'limit': 3", "warn", "probe-python", str(settings.state_root)):
        assert part in again
    assert account.made == 2
    assert (only(of_account).state, only(of_account).pid) == ("running", first.pid)


def test_what_changes_while_a_plugin_starts_reaches_it_when_it_runs(
    of_account: PluginSupervisor, account: Account, make_plugin: MakePlugin
) -> None:
    spec = make_plugin("python")
    of_account.start([Instance("probe", spec)])
    wait_until(lambda: account.made == 1)
    of_account.reconfigure()
    wait_until(lambda: account.made == 2)
    until(of_account, lambda status: "reconfigured" in Path(status.log).read_text())


def test_a_plugin_that_cannot_take_a_configuration_is_started_anew_and_loses_no_event(
    of_account: PluginSupervisor, account: Account, make_misfit: MakeMisfit
) -> None:
    pid = begin(of_account, make_misfit("unary")).pid
    of_account.offer([event(number) for number in range(3000)])
    of_account.reconfigure()
    status = until(of_account, lambda status: status.state == "running" and status.pid not in {None, pid})
    assert status.waiting > 0
    status = until(of_account, lambda status: status.handled == 3000)
    assert (status.failed, status.dropped, status.crashes) == (0, {}, 0)
    assert account.made == 3  # to start, to be refused, to start anew


def test_events_that_wait_survive_a_crash(supervisor: PluginSupervisor, make_plugin: MakePlugin) -> None:
    begin(supervisor, make_plugin("go"))
    supervisor.offer([trying("leave", code=1), *(event(number) for number in range(1000))])
    status = until(supervisor, lambda status: status.handled + sum(status.dropped.values()) == 1001)
    assert status.crashes == 1
    assert status.dropped == {"crash": 64}  # the batch that was under way


def two(make_plugin: MakePlugin) -> list[Instance]:
    """One plugin under two keys."""
    spec = make_plugin("go")
    return [Instance("probe", spec), Instance("probe@local", spec)]


def by_key(supervisor: PluginSupervisor) -> dict[str, PluginStatus]:
    return {status.key: status for status in supervisor.status()}


def running_both(supervisor: PluginSupervisor, instances: list[Instance]) -> dict[str, PluginStatus]:
    supervisor.start(instances)
    for key, _ in instances:
        supervisor.wait_for(key, "running", timeout=PATIENCE_SECONDS)
    return by_key(supervisor)


def test_two_copies_of_a_plugin_have_their_own_processes_events_state_and_logs(
    supervisor: PluginSupervisor, make_plugin: MakePlugin, settings: HostSettings
) -> None:
    first, second = running_both(supervisor, two(make_plugin)).values()
    assert (first.name, second.name) == ("probe-go", "probe-go")
    assert first.pid != second.pid
    supervisor.offer([trying("write_state")], keys=["probe@local"])
    wait_until(lambda: by_key(supervisor)["probe@local"].handled == 1)
    assert by_key(supervisor)["probe"].handled == 0
    assert not (settings.state_root / "probe" / "kept").exists()
    assert (settings.state_root / "probe@local" / "kept").exists()
    assert [Path(status.log).name for status in (first, second)] == ["probe.log", "probe@local.log"]


def test_stopping_one_returns_at_once_and_leaves_the_others(
    supervisor: PluginSupervisor, make_plugin: MakePlugin
) -> None:
    statuses = running_both(supervisor, two(make_plugin))
    stopped = statuses["probe"].pid
    assert stopped is not None
    os.kill(stopped, signal.SIGSTOP)  # it will take the two seconds it is given
    began = time.monotonic()
    supervisor.begin_stop(["probe"])
    assert time.monotonic() - began < 0.5
    supervisor.wait_for("probe", "stopping", timeout=PATIENCE_SECONDS)
    supervisor.offer([event()])
    wait_until(lambda: by_key(supervisor)["probe@local"].handled == 1)
    supervisor.wait_for("probe", "stopped", timeout=PATIENCE_SECONDS)
    assert not psutil.pid_exists(stopped)
    assert by_key(supervisor)["probe"].dropped == {"not_running": 1}


def test_a_plugin_that_is_being_stopped_can_be_started_already(
    supervisor: PluginSupervisor, make_plugin: MakePlugin
) -> None:
    instances = two(make_plugin)
    before = running_both(supervisor, instances)
    supervisor.begin_stop(["probe"])
    after = running_both(supervisor, instances)
    assert after["probe"].pid != before["probe"].pid
    assert after["probe@local"].pid == before["probe@local"].pid
    assert before["probe"].pid is not None
    assert not psutil.pid_exists(before["probe"].pid)


def test_a_forgotten_plugin_is_listed_until_it_ended(supervisor: PluginSupervisor, make_plugin: MakePlugin) -> None:
    pid = running_both(supervisor, two(make_plugin))["probe"].pid
    assert pid is not None
    supervisor.forget("probe")
    wait_until(lambda: set(by_key(supervisor)) == {"probe@local"})
    assert not psutil.pid_exists(pid)
    supervisor.stop()
    supervisor.forget("probe@local")
    assert supervisor.status() == []


def test_a_plugin_is_idle_when_every_event_was_answered(supervisor: PluginSupervisor, make_plugin: MakePlugin) -> None:
    begin(supervisor, make_plugin("python"))
    assert supervisor.is_idle("probe-python")
    supervisor.offer([trying("wait", seconds=0.2), event(1)])
    assert not supervisor.is_idle("probe-python")
    until(supervisor, lambda status: status.handled == 2)
    wait_until(lambda: supervisor.is_idle("probe-python"))
    supervisor.offer([trying("leave", code=1)])
    supervisor.stop()
    assert supervisor.is_idle("probe-python")
    assert supervisor.is_idle("unknown")


def test_nothing_is_asked_of_a_supervisor_that_never_started(supervisor: PluginSupervisor) -> None:
    supervisor.offer([event()])
    supervisor.reconfigure()
    supervisor.begin_stop()
    supervisor.stop()
    assert supervisor.status() == []
