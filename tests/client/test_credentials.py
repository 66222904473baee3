"""The key is for its owner's eyes, proved well-formed whenever it is read, and never repeated in an error."""

from __future__ import annotations

from pathlib import Path

import pytest
from km_client import credentials, paths
from km_client.errors import ClientError
from km_protocol import api_keys

KEY = api_keys.compose("live", "0" * 30)
OTHER = api_keys.compose("test", "1" * 30)
MISTYPED = KEY[:-1] + ("a" if KEY[-1] != "a" else "b")


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KM_CONFIG_DIR", str(tmp_path))
    return paths.credentials_file()


def test_flag_goes_before_environment_before_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert credentials.load() is None
    credentials.save(KEY)
    assert credentials.load() == (KEY, str(file))
    monkeypatch.setenv("KM_API_KEY", OTHER)
    assert credentials.load() == (OTHER, "KM_API_KEY")
    assert credentials.load(KEY) == (KEY, "flag")
    assert credentials.load(environment={}) == (KEY, str(file))


def test_only_the_owner_may_read_it_even_when_it_replaces_another(file: Path) -> None:
    file.write_text("x")
    file.chmod(0o644)
    credentials.save(KEY)
    assert file.stat().st_mode & 0o777 == 0o600
    assert credentials.loose_mode(file) is None
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o666, 0o601])
def test_loose_permissions_are_repaired_and_said_aloud(
    file: Path, mode: int, capsys: pytest.CaptureFixture[str]
) -> None:
    credentials.save(KEY)
    file.chmod(mode)
    assert credentials.load() == (KEY, str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    said = capsys.readouterr()
    assert said.out == ""
    assert f"{mode:04o}" in said.err and "hint: " in said.err and str(file) in said.err
    assert KEY not in said.err
    credentials.load()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("text", [MISTYPED, "km_live_short", "hunter2", KEY + "x", f"Bearer {KEY}"])
def test_a_key_that_cannot_be_one_is_refused_with_its_source_and_without_itself(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KM_API_KEY", text)
    with pytest.raises(ClientError) as caught:
        credentials.load()
    assert caught.value.code == "malformed_api_key"
    assert "KM_API_KEY" in caught.value.message and text not in caught.value.message + caught.value.hint


def test_a_typing_mistake_is_called_one() -> None:
    with pytest.raises(ClientError, match="typing mistake"):
        credentials.parse(MISTYPED, "here")


def test_blanks_around_a_key_are_no_mistake() -> None:
    assert credentials.parse(f"  {KEY}\n", "here") == KEY


def test_a_file_that_cannot_be_removed_is_an_error_in_words(file: Path) -> None:
    file.mkdir()
    with pytest.raises(ClientError, match="cannot be removed") as caught:
        credentials.forget()
    assert caught.value.hint


def test_looking_whether_a_key_could_be_kept_leaves_nothing_and_changes_nothing(file: Path) -> None:
    credentials.save(KEY)
    credentials.check_file()
    assert credentials.load() == (KEY, str(file))
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("content", [b"", b"api_key = 5", b"api_key", b"\xff", b'key = "x"'])
def test_a_file_without_a_key_says_what_to_do(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(ClientError) as caught:
        credentials.load()
    assert str(file) in caught.value.message and "km-client init" in caught.value.hint
