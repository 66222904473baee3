"""A plugin's settings reach it as they were meant; what could not be passed on, or names no plugin, is said at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from km_client import config, config_edit, paths, plugin_settings
from km_client.errors import ClientError
from km_client.plugins.sandbox.guarantees import LEVELS
from km_client.settings import SANDBOX_LEVELS


@pytest.fixture(autouse=True)
def config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KM_CONFIG_DIR", str(tmp_path / "config"))
    (tmp_path / "config").mkdir()
    return paths.config_file()


def test_any_values_and_tables_are_read_as_they_stand(config_file: Path) -> None:
    config_file.write_text(
        """
        [plugins.my-plugin]
        log_level = "debug"
        most = 5
        share = 0.5
        on = true
        words = ["a", {b = 1}]
        [plugins.my-plugin.output]
        "a.b" = "quoted"
        [plugins.other]
        """
    )
    found = config.load()
    assert found.plugin_settings("my-plugin") == {
        "log_level": "debug",
        "most": 5,
        "share": 0.5,
        "on": True,
        "words": ["a", {"b": 1}],
        "output": {"a.b": "quoted"},
    }
    assert found.plugin_settings("other") == found.plugin_settings("never-heard-of") == {}
    named = {name for name, _ in found.items() if name.startswith("plugins.")}
    assert 'plugins.my-plugin.output."a.b"' in named and "plugins.my-plugin.most" in named
    assert found.source("plugins.my-plugin.most") == str(config_file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[plugins.My_Plugin]\na = 1", ["`My_Plugin`", "cannot be a plugin's name"]),
        (f"[plugins.{'x' * 65}]\na = 1", ["cannot be a plugin's name"]),
        ("[plugins.x]\nday = 1979-05-27", ["`plugins.x.day`", "in quotes"]),
        ("[plugins.x.y]\nat = [07:32:00]", ["`plugins.x.y.at`", "in quotes"]),
        ("[plugins.x]\nlots = [{a = inf}]", ["`plugins.x.lots`", "exactly"]),
        ("[plugins.x]\nid = 9007199254740993", ["`plugins.x.id`", "exactly"]),
        ("[plugins]\nx = 1", ["`plugins.x`", "table"]),
        ("plugins = 1", ["`plugins`", "table"]),
    ],
)
def test_what_cannot_be_is_named_with_the_file(config_file: Path, text: str, words: list[str]) -> None:
    config_file.write_text(text)
    with pytest.raises(ClientError) as caught:
        config.load()
    assert all(word in caught.value.message for word in [*words, str(config_file)])
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("debug", "debug"),
        ("5", 5),
        ("0.5", 0.5),
        ("true", True),
        ('"5"', "5"),
        ('["a", "b"]', ["a", "b"]),
        ("{a = 1}", {"a": 1}),
        ("", ""),
        ("2026-11-22", "2026-11-22"),
        ("inf", "inf"),
        ("9007199254740993", "9007199254740993"),
        ("5 # five", "5 # five"),
        ("1\nother = 2", "1\nother = 2"),
        ("[1, 2", "[1, 2"),
        ("/usr/bin", "/usr/bin"),
    ],
)
def test_a_word_of_the_command_line_is_the_value_toml_reads_or_else_text(text: str, value: Any) -> None:
    assert config_edit.set_value("plugins.my-plugin.it", text) == value
    found = config.load().plugin_settings("my-plugin")["it"]
    assert (found, type(found)) == (value, type(value))


def test_settings_are_set_read_and_taken_out_one_by_one_or_all(config_file: Path) -> None:
    config_file.write_text("# mine\n[plugins.my-plugin]\nkept = 1  # why\n")
    config_edit.set_value('plugins.my-plugin.output."a.b"', "1")
    assert config.load().plugin_settings("my-plugin") == {"kept": 1, "output": {"a.b": 1}}
    assert config_file.read_text().startswith("# mine\n[plugins.my-plugin]\nkept = 1  # why\n")
    assert config_edit.unset('plugins.my-plugin.output."a.b"')
    assert not config_edit.unset('plugins.my-plugin.output."a.b"')
    assert not config_edit.unset("plugins.my-plugin.kept.deeper")
    assert config_edit.unset("plugins.my-plugin")
    assert not config_edit.unset("plugins.my-plugin")
    assert config.load().plugin_settings("my-plugin") == {}


@pytest.mark.parametrize(
    "name", ["plugins.", "plugins.x", "plugins.X.y", "plugins.x. y z", "plugins.x.y = 1\nq", "plugins..y"]
)
def test_a_name_that_is_no_setting_of_a_plugin_changes_nothing(config_file: Path, name: str) -> None:
    with pytest.raises(ClientError) as caught:
        config_edit.set_value(name, "1")
    assert caught.value.hint and not config_file.exists()


def test_a_value_is_not_made_a_table_over(config_file: Path) -> None:
    config_edit.set_value("plugins.x.a", "1")
    with pytest.raises(ClientError, match="not a table"):
        config_edit.set_value("plugins.x.a.b", "1")
    assert config.load().plugin_settings("x") == {"a": 1}


@pytest.mark.parametrize(("before", "after"), [("1", "2"), ("1", "true"), ("1", "1.0"), ("[1]", "[true]"), ("{}", "1")])
def test_a_changed_setting_makes_another_configuration(config_file: Path, before: str, after: str) -> None:
    config_file.write_text(f"[plugins.x]\na = {before}")
    first, same = config.load(), config.load()
    config_file.write_text(f"[plugins.x]\na = {after}")
    assert first == same and first != config.load()


def test_names_are_read_as_toml_does_and_written_back() -> None:
    steps = ["plugins", "x", "a.b", "c-d", 'e"f']
    assert plugin_settings.parts(plugin_settings.name_of(steps)) == steps


def test_the_sandbox_is_strict_unless_the_file_or_for_a_command_the_environment_says_otherwise(
    config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert config.load().sandbox == "strict"
    config_file.write_text('sandbox = "Best-Effort"')
    assert config.load().sandbox == "best-effort"
    monkeypatch.setenv("KM_SANDBOX", "off")
    assert (config.load().sandbox, config.load(environment={}).sandbox) == ("off", "best-effort")
    config_file.write_text("sandbox = false")
    with pytest.raises(ClientError, match="strict, best-effort, off"):
        config.load(environment={})


def test_the_levels_of_the_setting_are_those_of_the_sandbox() -> None:
    assert SANDBOX_LEVELS == LEVELS
