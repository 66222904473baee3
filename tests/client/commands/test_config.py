"""`config` shows every setting with its source, and changes what is in the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from km_client import credentials
from km_client.settings import SETTINGS
from km_protocol import api_keys

from tests.client.commands.conftest import Km

KEY = api_keys.compose("live", "0Qm3" + "0" * 26)


def test_list_names_every_setting_its_value_and_its_source(
    km: Km, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KM_LOG_LEVEL", "debug")
    km("config", "set", "agent.idle_seconds", "7")
    km("config", "set", "redaction.patterns.ticket", "T-[0-9]+")
    said = json.loads(km("config", "list", "--json").out)
    assert set(SETTINGS) | {"api_key", "redaction.patterns.ticket"} == set(said)
    assert said["log_level"] == {"value": "debug", "source": "KM_LOG_LEVEL"}
    assert said["agent.idle_seconds"] == {"value": 7.0, "source": str(machine / "config" / "config.toml")}
    assert said["api_url"]["source"] == "default"
    shown = km("config", "list").out
    assert km("config").out == shown
    assert "redaction.patterns.ticket" in shown and "KM_LOG_LEVEL" in shown


def test_the_key_is_shown_in_part(km: Km) -> None:
    credentials.save(KEY)
    for done in (km("config", "get", "api_key"), km("config", "list"), km("config", "list", "--json")):
        assert "km_live_0Qm3" in done.out and KEY not in done.out


def test_set_get_and_unset_agree(km: Km) -> None:
    assert km("config", "set", "log.enabled", "off").code == 0
    assert km("config", "get", "log.enabled").out == "false\n"
    assert json.loads(km("config", "get", "log.enabled", "--json").out)["value"] is False
    assert "back to its default" in km("config", "unset", "log.enabled").out
    assert km("config", "get", "log.enabled").out == "true\n"
    assert "was not in the file" in km("config", "unset", "log.enabled").out


def test_a_link_to_the_file_stays_a_link(km: Km, machine: Path, tmp_path: Path) -> None:
    target = tmp_path / "dotfiles" / "kilometers.toml"
    target.parent.mkdir()
    target.write_text("# mine\n")
    (machine / "config").mkdir()
    (machine / "config" / "config.toml").symlink_to(target)
    assert km("config", "set", "log_level", "debug").code == 0
    assert (machine / "config" / "config.toml").is_symlink()
    assert target.read_text() == '# mine\nlog_level = "debug"\n'


def test_a_byte_order_mark_before_the_file_is_no_mistake(km: Km, machine: Path) -> None:
    (machine / "config").mkdir()
    (machine / "config" / "config.toml").write_bytes(b'\xef\xbb\xbflog_level = "debug"\r\n')
    assert km("config", "get", "log_level").out == "debug\n"
    assert km("config", "set", "debug", "on").code == 0
    assert km("config", "get", "debug").out == "true\n"


def test_a_setting_that_the_environment_overrules_says_so(km: Km, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KM_API_URL", "https://variable.example")
    done = km("config", "set", "api_url", "https://file.example")
    assert done.code == 0 and "KM_API_URL" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("get", "api_ulr"), "did you mean `api_url`?"),
        (("set", "api_ulr", "x"), "did you mean `api_url`?"),
        (("set", "log_level", "loud"), "debug, info, warning, error"),
        (("set", "api_key", "x"), "km-client init"),
        (("get", "redaction.patterns.none"), "is not set"),
        (("unset", "nonsense"), "no setting `nonsense`"),
    ],
)
def test_mistakes_are_named_with_the_next_step(km: Km, words: tuple[str, ...], said: str) -> None:
    done = km("config", *words)
    assert done.code == 1 and said in done.err and "hint:" in done.err


def test_path_is_where_the_file_is_or_would_be(km: Km, machine: Path) -> None:
    path = machine / "config" / "config.toml"
    assert km("config", "path").out == f"{path}\n"
    said = json.loads(km("config", "path", "--json").out)
    assert (said["path"], said["exists"]) == (str(path), False)
