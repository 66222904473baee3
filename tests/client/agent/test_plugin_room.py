"""The room runs real plugins for real sessions; accounts here are in memory, and change when a test says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from km_client import config as configs
from km_client import paths
from km_client.config import Config

from tests.client.agent.plugin_rig import KEY, PLUGIN, Rig, events, session


class World(Rig):
    """The rig, and a person's own plugins."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__()
        self.tmp_path = tmp_path

    def plugin(self, name: str = "told", **manifest: object) -> Path:
        directory = self.tmp_path / name
        directory.mkdir(parents=True)
        (directory / "main.py").write_text(PLUGIN)
        said = {
            "name": name,
            "version": "1.0.0",
            "description": "Prints what it is told",
            "author": "Kilometers",
            "license": "Apache-2.0",
            "runtime": "python",
            "compatibility": {"kilometers_cli": ">=0.1.0"},
            "permissions": {"network": False, "filesystem": False, "system": False},
        }
        (directory / "manifest.json").write_text(json.dumps(said | manifest))
        return directory

    def output(self, key: str = "told") -> str:
        return (paths.plugin_log_dir() / f"{key}.log").read_text()


@pytest.fixture
def world(machine: Path) -> Iterator[World]:
    made = World(machine)
    yield made
    made.room.close()


def test_events_from_before_the_plugin_was_ready_reach_it_and_it_ends_with_its_session(world: World) -> None:
    world.room.attend("run", session(world.plugin(), local_only=True), None)
    feed = world.room.feed("run")
    feed(events(1, 2))
    world.until("it runs", lambda row: row.state == "running", "told@local")
    feed(events(3))
    world.room.leave("run")
    row = world.until("it ended", lambda row: row.state == "stopped", "told@local")
    assert (row.handled, row.dropped) == (3, {})
    assert [line.rpartition(" ")[2] for line in world.output("told@local").splitlines() if "event" in line] == list(
        "123"
    )
    assert not world.room.is_busy()


def test_an_upgrade_starts_a_plugin_and_a_downgrade_stops_it_while_its_session_goes_on(world: World) -> None:
    plugin = world.plugin(features={"required": ["advanced_analytics"]})
    world.room.attend("run", session(plugin), KEY)
    feed = world.room.feed("run")
    world.account.becomes("Free")
    row = world.until("not entitled", lambda row: row.state == "not_entitled")
    assert (row.missing_features, row.tier) == (["advanced_analytics"], "Free")
    feed(events(1))
    world.account.becomes("Enterprise", "advanced_analytics")
    world.until("it runs", lambda row: row.state == "running")
    feed(events(2))
    world.until("it has seen", lambda row: row.handled == 1)
    world.account.becomes("Pro", "api_logging")
    world.until("stopped", lambda row: row.state == "not_entitled" and row.pid is None)
    feed(events(3))
    world.account.becomes("Enterprise", "advanced_analytics")
    world.until("it runs again", lambda row: row.state == "running")
    feed(events(4))
    world.until("it has seen", lambda row: row.handled == 1)
    assert [line.rpartition(" ")[2] for line in world.output().splitlines() if "event" in line] == ["2", "4"]


def test_a_feature_that_comes_or_goes_is_told_without_a_restart(world: World) -> None:
    plugin = world.plugin(features={"required": ["console_logging"], "optional": ["api_logging"]})
    world.account.becomes("Free")
    world.room.attend("run", session(plugin), KEY)
    before = world.until("it runs", lambda row: row.state == "running")
    assert (before.withheld_features, before.missing_features) == (["api_logging"], [])
    world.account.becomes("Pro", "api_logging", "risk_analysis")
    row = world.until("it may", lambda row: row.features == ["api_logging", "console_logging"])
    assert (row.pid, row.withheld_features) == (before.pid, [])
    assert [identity.name for identity in world.account.wanted] == ["told"]


def test_settings_that_the_manifest_refuses_keep_it_from_starting_until_they_are_right(world: World) -> None:
    schema = {"type": "object", "properties": {"level": {"enum": ["low", "high"], "default": "low"}}}
    plugin = world.plugin(configuration={"schema": schema})
    world.config = changed('[plugins.told]\nlevel = "loud"\n')
    world.room.attend("run", session(plugin, local_only=True), None)
    row = world.until("it is refused", lambda row: row.trouble is not None, "told@local")
    assert row.trouble
    assert "level" in row.trouble.message
    assert "[plugins.told]" in row.trouble.hint
    world.config = changed('[plugins.told]\nlevel = "high"\n')
    world.until("it runs", lambda row: row.state == "running", "told@local")
    assert "{'level': 'high'}" in world.output("told@local")
    world.config = changed("")
    world.until("it is told the default", lambda _: "{'level': 'low'}" in world.output("told@local"), "told@local")


def test_two_plugins_of_one_name_are_not_mixed_up(world: World) -> None:
    first = world.plugin("told")
    second = World(world.tmp_path / "elsewhere").plugin("told")
    world.room.attend("run", session(first, second, local_only=True), None)
    world.until("the first runs", lambda row: row.state == "running", "told@local")
    troubled = [row for row in world.reports().values() if row.trouble]
    assert [(row.path, row.trouble and row.trouble.code) for row in troubled] == [(str(second), "name_taken")]


def test_a_newer_build_takes_the_place_of_one_that_no_session_feeds_any_more(world: World) -> None:
    first = world.plugin("told")
    second = World(world.tmp_path / "elsewhere").plugin("told")
    world.room.attend("one", session(first, local_only=True), None)
    world.until("the first runs", lambda row: row.state == "running", "told@local")
    world.room.leave("one")
    world.room.attend("two", session(second, local_only=True), None)
    world.room.feed("two")(events(7))
    row = world.until("the second has seen", lambda row: row.handled == 1, "told@local")
    assert (row.path, row.trouble) == (str(second), None)


def test_two_sessions_share_a_plugin_which_ends_with_the_last_of_them(world: World) -> None:
    plugin = world.plugin()
    for run in ("one", "two"):
        world.room.attend(run, session(plugin, local_only=True), None)
    world.until("it runs", lambda row: row.state == "running", "told@local")
    world.room.feed("one")(events(1))
    world.room.feed("two")(events(2))
    world.room.leave("one")
    world.until("it has seen both", lambda row: row.handled == 2 and row.state == "running", "told@local")
    world.room.leave("two")
    world.until("it ended", lambda row: row.state == "stopped", "told@local")


def test_another_level_of_the_sandbox_holds_from_the_next_start_of_all_plugins(world: World) -> None:
    world.room.attend("run", session(world.plugin(), local_only=True), None)
    first = world.until("it runs", lambda row: row.state == "running", "told@local")
    world.config = changed('sandbox = "off"\n')
    row = world.until("it runs again", lambda row: row.state == "running" and row.level == "off", "told@local")
    assert (first.level, first.pid != row.pid, row.enforced != first.enforced) == ("strict", True, True)


def test_what_a_plugin_of_a_former_agent_did_is_still_told(world: World) -> None:
    world.room.attend("run", session(world.plugin(), local_only=True), None)
    world.room.feed("run")(events(1))
    world.until("it has seen", lambda row: row.handled == 1, "told@local")
    world.room.close()
    later = World(world.tmp_path)
    row = later.reports()["told@local"]
    assert (row.state, row.pid, row.handled) == ("stopped", None, 1)


def test_a_fault_in_what_plugins_need_never_reaches_the_session(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr("km_client.plugins.discovery.find", broken)
    world.room.attend("run", session(world.plugin()), KEY)
    world.room.feed("run")(events(1))
    world.room.round(world.config)
    world.room.leave("run")
    assert "a mistake of ours" in caplog.text


def changed(toml: str) -> Config:
    paths.make_private(paths.config_dir())
    paths.config_file().write_text(toml)
    return configs.load(environment={})
