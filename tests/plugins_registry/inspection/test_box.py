"""What a program in the box cannot do, and what becomes of one that hangs, floods, crashes or is not there."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from plugins_registry.inspection import box
from plugins_registry.inspection.errors import ToolFailedError, ToolMissingError
from plugins_registry.inspection.interpreters import runtime_of

PYTHON = Path(sys.executable)
SLEEP = f"600.{os.getpid()}"  # seconds, and nobody else's


@pytest.fixture(params=["namespaces", "limits"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Both kinds of box, where this machine has both."""
    if request.param == "limits":
        monkeypatch.setattr(box, "has_namespaces", lambda: False)
    elif not box.has_namespaces():
        pytest.skip("bubblewrap is not installed, or not permitted")
    yield str(request.param)
    assert not any(SLEEP in (process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))


def run(code: str, place: Path, limits: box.Limits | None = None) -> box.Finished:
    return box.run([str(PYTHON), "-I", "-c", code], shows=[place, *runtime_of(PYTHON)], directory=place, limits=limits)


def test_it_says_what_the_program_said(tmp_path: Path, either: str) -> None:
    finished = run("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)", tmp_path)
    assert (finished.code, finished.stdout, finished.stderr) == (3, b"out\n", "err")


def test_one_that_hangs_is_ended_with_its_children(tmp_path: Path, either: str) -> None:
    code = f"import subprocess, time; subprocess.Popen(['sleep', '{SLEEP}']); print(1); time.sleep(600)"
    started = time.monotonic()
    with pytest.raises(ToolFailedError, match="took longer than 1 s"):
        run(code, tmp_path, box.Limits(seconds=1.0))
    assert time.monotonic() - started < 5


def test_one_that_closes_its_output_and_hangs_is_ended(tmp_path: Path, either: str) -> None:
    with pytest.raises(ToolFailedError, match="took longer"):
        run("import os, time; os.close(1); os.close(2); time.sleep(600)", tmp_path, box.Limits(seconds=1.0))


def test_one_that_floods_is_ended_at_its_cap(tmp_path: Path, either: str) -> None:
    with pytest.raises(ToolFailedError, match="printed more than 1,000,000 bytes"):
        run("import sys\nwhile True: sys.stdout.write('x' * 65536)", tmp_path, box.Limits(output=1_000_000))


def test_one_that_crashes_is_told_from_one_that_answers(tmp_path: Path, either: str) -> None:
    with pytest.raises(ToolFailedError, match="signal 11"):
        run("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", tmp_path)


def test_one_that_eats_memory_gets_no_more(tmp_path: Path, either: str) -> None:
    finished = run("bytearray(1 << 30)", tmp_path, box.Limits(memory=256 * box.MIB))
    assert "MemoryError" in finished.stderr


def test_nothing_of_our_environment_is_handed_on(tmp_path: Path, either: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KM_SECRET_KEY", "do-not-tell")
    assert b"do-not-tell" not in run("import os; print(dict(os.environ))", tmp_path).stdout


def test_without_bubblewrap_what_needs_it_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box, "has_namespaces", lambda: False)
    with pytest.raises(ToolMissingError, match="bubblewrap"):
        box.run(["true"], shows=[], directory=tmp_path, isolated=True)


@pytest.mark.skipif(not box.has_namespaces(), reason="bubblewrap is not installed, or not permitted")
def test_there_is_no_network_and_no_file_but_those_it_is_shown(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("do-not-tell")
    (shown := tmp_path / "shown").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"""
import os, socket
for name, attempt in {{
    "connect": lambda: socket.create_connection(("127.0.0.1", {port}), 2),
    "read": lambda: open({str(secret)!r}).read(),
    "shadow": lambda: open("/etc/shadow").read(),
    "write": lambda: open({str(shown / "x")!r}, "w"),
    "signal": lambda: os.kill({os.getpid()}, 0),
}}.items():
    try:
        attempt()
        print(name, "worked")
    except OSError as error:
        print(name, type(error).__name__)
"""
        said = run(code, shown).stdout.decode()
    assert "worked" not in said
    assert len(said.splitlines()) == 5
