"""A worker that is killed leaves nothing behind for long, and nobody takes away what a living one is using."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import signals

from plugins_registry import scratch, tasks
from tests.end_to_end.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
BUILDING = """
import os, sys, django
django.setup()
from plugins_registry import scratch
from plugins_registry.building import box, recipes, sources
with scratch.room("build", sources.BOX_MAY_LOOK) as place:
    (place / "source").mkdir()
    (place / "source" / "main.py").write_text("half a source")
    command = ["/bin/sh", "-c", "sleep 600", sys.argv[1]]
    job = lambda around: box.Job(command, {around.source: place / "source"}, {}, around)
    recipes.make(recipes.Recipe(job, dict), box.FIRST)
"""


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary directory of this test alone, which the box's user may look into, as into /tmp."""
    with tempfile.TemporaryDirectory(prefix="km-test-") as made:
        Path(made).chmod(0o755)
        (Path(made) / "tmp").mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(Path(made) / "tmp"))
        yield Path(made) / "tmp"


@pytest.fixture
def worker(place: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A real process, in the midst of a build in the box."""
    variables = {"TMPDIR": str(place), "KM_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "kmcloud.settings"}
    mark = f"km-mark-{os.getpid()}-{place.parent.name}"
    process = subprocess.Popen([sys.executable, "-c", BUILDING, mark], env=os.environ | variables, cwd=ROOT)
    try:
        eventually(lambda: any(f"sleep 600\0{mark}" in each for each in _commands()), within=60, what="its box")
        yield process
    finally:
        process.kill()
        process.wait()
    eventually(lambda: not any(mark in each for each in _commands()), within=10)


def _commands() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().decode(errors="replace"))
        except OSError:  # it has just ended
            continue
    return found


def test_what_a_worker_killed_in_mid_build_leaves_is_swept_and_not_before(
    worker: subprocess.Popen[bytes], place: Path
) -> None:
    (left,) = place.glob("km-build-*")
    assert scratch.sweep() == 0, "it is at work"
    assert (left / "source" / "main.py").exists()
    worker.kill()
    worker.wait()
    assert left.exists(), "nobody was left to remove it"
    assert scratch.sweep() == 1
    assert list(place.iterdir()) == []


def test_the_next_build_sweeps_first(worker: subprocess.Popen[bytes], place: Path) -> None:
    worker.kill()
    worker.wait()
    with scratch.room("checks") as room:
        assert [each.name for each in place.iterdir()] == [room.name]
    assert list(place.iterdir()) == []


def test_a_room_is_gone_afterwards_also_when_its_work_failed_and_whatever_it_left(place: Path) -> None:
    with pytest.raises(ZeroDivisionError), scratch.room("scan") as room:
        (room / "a" / "b").mkdir(parents=True)
        (room / "a" / "b" / "c").write_text("c")
        (room / "a" / "outside").symlink_to(place.parent)
        (room / "a" / "b").chmod(0o500)
        raise ZeroDivisionError
    assert list(place.iterdir()) == []
    assert place.parent.stat().st_mode & 0o777 == 0o755, "a link is not followed"


def test_what_is_none_of_ours_is_left_alone(place: Path) -> None:
    (place / "km-build-file").write_text("a file")
    (place / "elsewhere").mkdir()
    (place / "km-scan-link").symlink_to(place / "elsewhere")
    (place / "km-other-room").mkdir()
    assert scratch.sweep() == 0
    assert {each.name for each in place.iterdir()} == {"km-build-file", "elsewhere", "km-scan-link", "km-other-room"}


def test_a_worker_sweeps_when_it_starts_and_once_a_minute(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugins_registry.resuming.resume", lambda **_: 0)
    assert any(receiver() is tasks.sweep_scratch for _, receiver in signals.worker_init.receivers)
    for begin in (tasks.sweep_scratch, tasks.resume):
        (place / "km-build-left").mkdir()
        begin()
        assert list(place.iterdir()) == []
