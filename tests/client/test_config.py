"""Every setting has one value and a known source, and whatever is wrong with it is said with the fix."""

from __future__ import annotations

from pathlib import Path

import pytest
from km_client import config, config_edit, paths, pattern_trial
from km_client.errors import ClientError
from km_client.settings import DEFAULT_API_URL, SETTINGS


@pytest.fixture(autouse=True)
def config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KM_CONFIG_DIR", str(tmp_path / "config"))
    (tmp_path / "config").mkdir()
    return paths.config_file()


def test_flag_goes_before_environment_before_file_before_default(
    config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (config.load().api_url, config.load().source("api_url")) == (DEFAULT_API_URL, "default")
    config_file.write_text('api_url = "https://file.example"')
    assert (config.load().api_url, config.load().source("api_url")) == ("https://file.example", str(config_file))
    monkeypatch.setenv("KM_API_URL", "https://variable.example/")
    assert (config.load().api_url, config.load().source("api_url")) == ("https://variable.example", "KM_API_URL")
    flagged = config.load({"api_url": "https://flag.example"})
    assert (flagged.api_url, flagged.source("api_url")) == ("https://flag.example", "flag")
    assert config.load({"api_url": None}).api_url == "https://variable.example"
    assert config.load(environment={}).api_url == "https://file.example"


def test_every_default_is_what_its_setting_allows_and_so_is_every_example() -> None:
    for setting in SETTINGS.values():
        assert setting.parse(setting.default) == setting.default
        setting.parse(setting.example)
    assert SETTINGS["redaction.allow"].parse(SETTINGS["redaction.allow"].example) == ("sk-test-[a-z]+",)


def test_every_kind_of_setting_is_read_from_the_file(config_file: Path) -> None:
    config_file.write_text(
        """
        log_level = "warning"
        [agent]
        idle_seconds = 5
        [log]
        max_bytes = 2_000_000
        [redaction]
        allow = ["sk-test-[a-z]+"]
        [redaction.patterns]
        ticket = "TICKET-[0-9]+"
        """
    )
    found = config.load()
    assert (found.log_level, found.idle_seconds, found.log_bytes) == ("warning", 5.0, 2_000_000)
    assert (found.redacts, found.allowed, found.patterns) == (True, ("sk-test-[a-z]+",), {"ticket": "TICKET-[0-9]+"})


def test_debug_goes_before_the_log_level_and_a_log_turned_off_has_no_size(
    config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config_file.write_text("[log]\nenabled = false\n")
    monkeypatch.setenv("KM_DEBUG", "1")
    monkeypatch.setenv("KM_LOG_LEVEL", "ERROR")
    assert (config.load().log_level, config.load().log_bytes) == ("debug", 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('api_ulr = "https://x.example"', ["`api_ulr`", "did you mean `api_url`?"]),
        ("[agent]\nidle = 5", ["`agent.idle`"]),
        ('api_url = "kilometers.example"', ["`api_url`", "http or https"]),
        ('api_url = "https://me:secret@x.example"', ["`api_url`", "password"]),
        ("api_url = 5", ["`api_url`"]),
        ('log_level = "loud"', ["`log_level`", "debug, info, warning, error"]),
        ('[agent]\nidle_seconds = "soon"', ["`agent.idle_seconds`", "number of seconds"]),
        ("[agent]\nidle_seconds = true", ["`agent.idle_seconds`"]),
        ("[log]\nmax_bytes = 10", ["`log.max_bytes`", "1048576"]),
        ("[log]\nmax_bytes = 2000000.5", ["`log.max_bytes`", "whole number"]),
        ('[redaction]\nenabled = "perhaps"', ["`redaction.enabled`", "true or false"]),
        ('[redaction]\nallow = ["["]', ["`redaction.allow`", "regular expression"]),
        ("[redaction]\nallow = 5", ["`redaction.allow`", "list"]),
        ('[redaction.patterns]\nx = "a*"', ["`redaction.patterns.x`", "empty text"]),
        ('[redaction.patterns]\n"Not A Name" = "a"', ["`redaction.patterns.Not A Name`"]),
        ('[redaction.patterns]\nx = "a{99999999999}"', ["`redaction.patterns.x`", "number is too large"]),
        (f'[redaction.patterns]\nx = "{"(" * 5000}a{")" * 5000}"', ["`redaction.patterns.x`", "recursion"]),
        ("not toml at all", ["is not TOML"]),
        ('api_key = "km_live_x"', ["`api_key`"]),
    ],
)
def test_a_mistake_in_the_file_is_named_with_the_file_and_a_fix(config_file: Path, text: str, words: list[str]) -> None:
    config_file.write_text(text)
    with pytest.raises(ClientError) as caught:
        config.load()
    assert all(word in caught.value.message for word in [*words, str(config_file)])
    assert caught.value.hint and "secret@" not in caught.value.message


def test_bytes_that_are_not_utf8_are_a_mistake_too(config_file: Path) -> None:
    config_file.write_bytes(b'api_url = "\xff"')
    with pytest.raises(ClientError, match="is not TOML"):
        config.load()


def test_a_mistake_in_the_environment_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KM_LOG_LEVEL", "loud")
    with pytest.raises(ClientError, match="KM_LOG_LEVEL") as caught:
        config.load()
    assert caught.value.hint == "set KM_LOG_LEVEL=info, or unset it"


def test_an_edit_keeps_comments_and_order_and_is_read_back(config_file: Path) -> None:
    before = '# mine\nlog_level = "info"  # quiet\n\n[agent]\n# long\nidle_seconds = 60\n'
    config_file.write_text(before)
    assert config_edit.set_value("agent.idle_seconds", "5") == 5.0
    assert config_edit.set_value("redaction.patterns.ticket", "T-[0-9]+") == "T-[0-9]+"
    after = config_file.read_text()
    assert after.startswith(before.replace("60", "5.0"))
    assert config.load().patterns == {"ticket": "T-[0-9]+"}
    assert config_edit.unset("redaction.patterns.ticket")
    assert not config_edit.unset("redaction.patterns.ticket")
    assert not config_edit.unset("log.max_bytes")
    assert config.load().patterns == {}


def test_a_wrong_edit_changes_nothing(config_file: Path) -> None:
    config_file.write_text('log_level = "info"\n')
    for name, value in (("log_level", "loud"), ("nonsense", "1"), ("api_key", "km_live_x")):
        with pytest.raises(ClientError):
            config_edit.set_value(name, value)
    assert config_file.read_text() == 'log_level = "info"\n'


def test_an_expression_that_a_message_could_keep_busy_for_years_is_not_taken(
    config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pattern_trial, "TRIAL_SECONDS", 0.3)
    with pytest.raises(ClientError, match=r"`redaction.patterns.x` takes too long"):
        config_edit.set_value("redaction.patterns.x", "(ticket|ticket)+$")
    assert not config_file.exists()


def test_exceptions_are_one_expression_or_a_list_as_in_toml(config_file: Path) -> None:
    """A comma belongs to an expression: `{20,40}`."""
    for written, read in (
        ("sk-test-[a-z]{20,40}", ("sk-test-[a-z]{20,40}",)),
        ("[a-z],[0-9]", ("[a-z],[0-9]",)),
        (r"""["a,b", 'c\d']""", ("a,b", r"c\d")),
    ):
        config_edit.set_value("redaction.allow", written)
        assert config.load().allowed == read
    with pytest.raises(ClientError, match="TOML"):
        config_edit.set_value("redaction.allow", r'["c\d"]')


def test_a_broken_file_is_not_written_over(config_file: Path) -> None:
    config_file.write_text("broken = ")
    with pytest.raises(ClientError, match="is not TOML"):
        config_edit.set_value("log_level", "debug")
    assert config_file.read_text() == "broken = "


def test_the_file_is_made_with_its_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KM_CONFIG_DIR", str(tmp_path / "new" / "place"))
    config_edit.set_value("log_level", "debug")
    assert config.load().log_level == "debug"
    assert (tmp_path / "new" / "place").stat().st_mode & 0o777 == 0o700
    assert [path.name for path in (tmp_path / "new" / "place").iterdir()] == ["config.toml"]


def test_a_directory_that_cannot_be_written_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KM_CONFIG_DIR", str(tmp_path / "file" / "config"))
    with pytest.raises(ClientError, match="cannot be read: Not a directory"):
        config_edit.set_value("log_level", "debug")
