"""Several who write one file at the same moment, and who is killed meanwhile: nothing is lost, and all comes back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from km_client.wrapping import backup, clients, files, wrapper
from km_client.wrapping.clients import ConfigFile
from km_client.wrapping.files import Snapshot

from tests.client.commands.conftest import Km
from tests.client.monitored import KM_CLIENT
from tests.client.wrapping.homes import Home
from tests.client.wrapping.test_bad_input import PLAIN, entry, refused


@pytest.fixture
def meddle(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], None]:
    """Another program writes these contents, one just before each time the file is about to be replaced."""

    def start(contents: list[str]) -> None:
        real = files._keep_owner_and_mode

        def written_meanwhile(descriptor: int, temporary: Path, snapshot: Snapshot) -> None:
            real(descriptor, temporary, snapshot)
            if contents:
                snapshot.path.write_text(contents.pop(0))

        monkeypatch.setattr(files, "_keep_owner_and_mode", written_meanwhile)

    return start


def test_a_file_that_another_program_writes_meanwhile_is_planned_anew(
    km: Km, home: Home, meddle: Callable[[list[str]], None]
) -> None:
    path = home.write("cursor", PLAIN)
    later = PLAIN.replace('"a"', '"b"')
    meddle([later])
    assert km("wrap", "cursor").code == 0
    assert entry(path, "b")["command"] == KM_CLIENT
    assert km("unwrap", "cursor").code == 0
    assert path.read_text() == later


def test_a_file_that_never_rests_is_left_to_the_other_program(
    km: Km, home: Home, meddle: Callable[[list[str]], None]
) -> None:
    path = home.write("cursor", PLAIN)
    meddle([PLAIN + " " * number for number in range(1, 20)])
    done = km("wrap", "cursor")
    refused(done, path, path.read_bytes(), "was written by another program 5 times", "close Cursor")
    assert KM_CLIENT not in path.read_text()


def test_who_is_killed_between_the_copy_and_the_file_has_lost_nothing(
    km: Km, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home.write("cursor", PLAIN)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    def wrap_and_die() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(files, "replace", killed)
            assert km("wrap", "cursor").code == 130

    wrap_and_die()
    assert path.read_text() == PLAIN
    assert km("wrap", "cursor").code == 0
    later = path.read_text().replace('{"a"', '{"b": {"command":  "x"}, "a"')
    path.write_text(later)
    wrap_and_die()
    assert path.read_text() == later
    assert km("unwrap", "cursor").code == 0
    assert path.read_text() == PLAIN.replace('{"a"', '{"b": {"command":  "x"}, "a"')


def test_eight_at_once_wrap_it_once(home: Home, machine: Path) -> None:
    path = home.write("cursor", PLAIN)
    file = ConfigFile(clients.named(["cursor"])[0], path)
    start = threading.Barrier(8)
    problems: list[object] = []

    def one() -> None:
        start.wait()
        result = wrapper.wrap(file, KM_CLIENT)
        problems.append(result and result.problem)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == [None] * 8
    assert path.read_text().count(KM_CLIENT) == 1
    wrapper.unwrap(file)
    assert path.read_text() == PLAIN


def test_half_of_a_record_that_another_writes_now_is_left_to_it(home: Home, machine: Path) -> None:
    path = home.write("cursor", PLAIN)
    half = backup.directory(path) / ".record.json.x1y2_3z4"
    half.parent.mkdir(parents=True)
    half.write_text("{")
    wrapper.wrap(ConfigFile(clients.named(["cursor"])[0], path), KM_CLIENT)
    assert half.exists()
