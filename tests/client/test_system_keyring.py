"""The key is in the system's keyring for who chose that, in no file then, and never in a keyring that is none."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import chainer, fail, null
from km_client import credentials, paths, system_keyring
from km_client.agent import choices
from km_client.agent.choices import ChoiceReader
from km_client.errors import ClientError
from km_protocol import api_keys

from tests.client.commands.conftest import Km, km, machine
from tests.fakes.keyrings import Memory

__all__ = ["km", "machine"]

KEY = api_keys.compose("inst", "0" * 30)
OTHER = api_keys.compose("live", "1" * 30)


class Plain(Memory):
    """Where `keyrings.alt` keeps passwords in plain text."""

    name = "PlaintextKeyring"


Plain.__module__ = "keyrings.alt.file"


@pytest.fixture
def memory(machine: Path, monkeypatch: pytest.MonkeyPatch) -> Memory:
    """The system's keyring, unlocked."""
    return use(Memory(), monkeypatch)


def use(backend: KeyringBackend, monkeypatch: pytest.MonkeyPatch) -> Memory:
    monkeypatch.setattr(keyring.core, "_keyring_backend", backend)
    return backend  # type: ignore[return-value]  # whoever needs a `Memory` gave one


def test_a_file_is_what_nobody_has_to_choose(memory: Memory) -> None:
    assert credentials.save(KEY) == paths.credentials_file()
    assert memory.kept == {}
    assert paths.credentials_file().stat().st_mode & 0o777 == 0o600


def test_chosen_it_is_in_the_keyring_and_in_no_file(memory: Memory, machine: Path) -> None:
    assert credentials.save_in_keyring(KEY) == "Memory of a test"
    assert memory.kept == {("kilometers", str(machine / "config")): KEY}
    assert credentials.load() == (KEY, str(paths.credentials_file()))
    assert all(KEY.encode() not in file.read_bytes() for file in machine.rglob("*") if file.is_file())
    assert paths.credentials_file().stat().st_mode & 0o777 == 0o600


def test_two_configurations_keep_two_keys(memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials.save_in_keyring(KEY)
    monkeypatch.setenv("KM_CONFIG_DIR", str(tmp_path / "work"))
    credentials.save_in_keyring(OTHER)
    assert set(memory.kept.values()) == {KEY, OTHER}


def test_a_key_in_a_file_afterwards_leaves_none_in_the_keyring(memory: Memory) -> None:
    credentials.save_in_keyring(KEY)
    credentials.save(OTHER)
    assert memory.kept == {}
    assert credentials.load() == (OTHER, str(paths.credentials_file()))


def test_logout_takes_it_out(memory: Memory, km: Km) -> None:
    credentials.save_in_keyring(KEY)
    assert km("logout", "--offline").code == 0
    assert memory.kept == {}
    assert not paths.credentials_file().exists()
    assert km("logout").code == 1


def test_a_logout_that_finds_it_gone_from_the_keyring_says_so(memory: Memory, km: Km) -> None:
    credentials.save_in_keyring(KEY)
    memory.kept.clear()
    done = km("logout", "--offline")
    assert (done.code, "the keyring has no key any more" in done.err) == (1, True)
    credentials.forget()
    assert not paths.credentials_file().exists()


def test_locked_it_gives_nothing_takes_nothing_and_loses_nothing(memory: Memory, km: Km) -> None:
    credentials.save_in_keyring(KEY)
    memory.is_locked = True
    for act in (credentials.load, credentials.forget, credentials.check_keyring):
        with pytest.raises(ClientError, match="Failed to unlock") as refused:
            act()
        assert "unlock it" in refused.value.hint
    done = km("logout", "--offline")
    assert done.code == 1 and "hint: unlock it" in done.err
    memory.is_locked = False
    assert credentials.load() == (KEY, str(paths.credentials_file()))


def test_locked_it_is_said_before_anybody_is_asked_to_confirm_a_login(memory: Memory, km: Km) -> None:
    memory.is_locked = True
    done = km("login", "--keyring", "--api-url", "http://127.0.0.1:9")
    assert done.code == 1 and "Failed to unlock" in done.err and "without --keyring" in done.err


def test_a_key_for_a_file_is_kept_though_the_keyring_does_not_give_up_the_one_before(
    memory: Memory, capsys: pytest.CaptureFixture[str]
) -> None:
    credentials.save_in_keyring(KEY)
    memory.is_locked = True
    credentials.save(OTHER)
    assert credentials.load() == (OTHER, str(paths.credentials_file()))
    assert "the key before stays in the keyring" in capsys.readouterr().err


def test_an_agent_that_found_it_locked_asks_again(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials.save_in_keyring(KEY)
    memory.is_locked = True
    now = 1000.0
    monkeypatch.setattr("km_client.agent.choices.time.monotonic", lambda: now)
    reader = ChoiceReader()
    locked = reader.current()
    assert locked.key is None and "Failed to unlock" in locked.key_problem
    memory.is_locked = False
    now += choices.LOOK_SECONDS
    assert reader.current() is locked, "not at every look: a keyring may ask the person each time"
    now += choices.RETRY_SECONDS
    unlocked = reader.current()
    assert (unlocked.key, unlocked.key_problem) == (KEY, "")
    now += 10 * choices.RETRY_SECONDS
    assert reader.current() is unlocked


@pytest.mark.parametrize("none", [fail.Keyring, null.Keyring, Plain, chainer.ChainerBackend])
def test_what_keeps_nothing_safe_is_refused_before_anything_is_asked(
    none: type[KeyringBackend], machine: Path, km: Km, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chainer.ChainerBackend, "backends", [])
    use(none(), monkeypatch)
    done = km("login", "--keyring", "--api-url", "http://127.0.0.1:9")
    assert done.code == 1
    assert "keeps nothing safe" in done.err and "without --keyring" in done.err
    assert not paths.credentials_file().exists()


def test_of_several_the_first_that_is_safe_is_taken(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, safe = Plain(), Memory()
    monkeypatch.setattr(chainer.ChainerBackend, "backends", [plain, safe])
    use(chainer.ChainerBackend(), monkeypatch)  # type: ignore[no-untyped-call]  # keyring types little of itself
    credentials.save_in_keyring(KEY)
    assert (plain.kept, list(safe.kept.values())) == ({}, [KEY])


def test_without_the_library_it_says_what_to_install(km: Km, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    done = km("login", "--keyring", "--api-url", "http://127.0.0.1:9")
    assert (done.code, 'pip install "km-client[keyring]"' in done.err) == (1, True)


class Silent(Memory):
    """Waits for a person who sees no window, as the Secret Service does over ssh."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.answers = 0, threading.Event()

    def get_password(self, service: str, username: str) -> str | None:
        self.asked += 1
        assert self.answers.wait(60)
        return super().get_password(service, username)


@pytest.fixture
def silent(machine: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Silent]:
    backend = Silent()
    use(backend, monkeypatch)
    monkeypatch.setattr(system_keyring, "PERSON_SECONDS", 0.05)
    yield backend
    backend.answers.set()
    for question in system_keyring._last:
        question.join()


def test_one_that_never_answers_holds_nobody_up_and_is_asked_once(silent: Silent) -> None:
    credentials.save_in_keyring(KEY)
    for said in ("no answer in 0 seconds", "still owes an answer"):
        with pytest.raises(ClientError, match=said):
            credentials.check_keyring()
    assert "still owes an answer" in choices.ChoiceReader().current().key_problem
    assert silent.asked == 1
    silent.answers.set()
    system_keyring._last[0].join()
    assert credentials.load() == (KEY, str(paths.credentials_file()))


def test_what_a_systems_library_lets_through_is_a_trouble_of_the_keyring(
    memory: Memory, km: Km, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials.save_in_keyring(KEY)

    def broken(*_: str) -> None:
        raise ConnectionResetError("the bus went away")

    monkeypatch.setattr(memory, "get_password", broken)
    done = km("logout", "--offline")
    assert done.code == 1 and "error: the keyring does not give the key: the bus went away" in done.err
    assert "the bus went away" in choices.ChoiceReader().current().key_problem


def test_a_key_in_a_file_needs_no_keyring_library(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    credentials.save(KEY)
    assert credentials.load() == (KEY, str(paths.credentials_file()))
    credentials.forget()
