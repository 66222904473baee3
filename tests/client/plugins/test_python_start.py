"""How a Python plugin's file comes to run: its imports, its output, and what it finds around it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from km_client.plugins import discovery
from km_client.plugins.launcher import python
from km_client.plugins.supervisor import PluginSupervisor

from tests.client.plugins.conftest import manifest
from tests.client.plugins.supervised import begin, event, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the launcher is Linux's")

PRINTING = "import os, sys\nprint('1|1|unix|/tmp/not-me|grpc|')\nos.write(1, b'from C\\n')\n"
MAIN = """
import json
import sys
import {first}
from km_plugin_sdk import Plugin, serve

class Tells(Plugin):
    def handle_stream_event(self, event):
        raise ValueError(json.dumps({{
            "from": getattr({first}, "__file__", ""),
            "km_client": [name for name in sys.modules if name.startswith("km_client")],
            "argv": sys.argv,
            "path": sys.path,
        }}))

if __name__ == "__main__":
    serve(Tells())
"""
MakePython = Callable[..., discovery.PluginSpec]


@pytest.fixture
def make_python(tmp_path: Path) -> MakePython:
    """`make_python("chatty", {"chatty.py": "print(1)"})`: a plugin that imports `chatty` before anything else."""

    def make(first: str, files: dict[str, str]) -> discovery.PluginSpec:
        directory = tmp_path / "plugins" / "tells"
        for name, text in ({"main.py": MAIN.format(first=first)} | files).items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(text)
        (directory / "manifest.json").write_text(manifest("tells", "python", "main.py"))
        return discovery.find(directory)

    return make


@pytest.mark.parametrize("place", ["chatty.py", "site/chatty/__init__.py", "statistics.py"])
def test_a_plugin_whose_imports_print_starts_and_its_output_is_in_the_log(
    supervisor: PluginSupervisor, make_python: MakePython, place: str
) -> None:
    first = "statistics" if place == "statistics.py" else "chatty"
    status = begin(supervisor, make_python(first, {place: PRINTING}))
    assert (status.state, status.trouble) == ("running", None)
    until(supervisor, lambda status: "stdout: from C" in Path(status.log).read_text())
    assert "stdout: 1|1|unix|/tmp/not-me|grpc|" in Path(status.log).read_text()


@pytest.mark.parametrize(
    ("first", "place", "preloads"),
    [
        ("own", "own.py", True),
        ("own", "site/own.py", True),
        ("statistics", "statistics.py", False),
        ("queue", "queue.py", False),
        ("typing_extensions", "site/typing_extensions.py", False),
    ],
)
def test_a_plugin_finds_what_it_brought_before_what_it_was_given(
    supervisor: PluginSupervisor, make_python: MakePython, first: str, place: str, *, preloads: bool
) -> None:
    module = sys.modules.get(first)
    text = Path(str(module.__file__)).read_text() if module else ""  # others import it too
    spec = make_python(first, {place: text})
    assert spec.python is not None
    assert spec.python.preload is preloads
    begin(supervisor, spec)
    supervisor.offer([event()])
    status = until(supervisor, lambda status: status.failed == 1)
    said = Path(status.log).read_text()
    told, _ = json.JSONDecoder().raw_decode(said, said.index('{"from"'))
    entry = spec.path / "main.py"
    assert told["from"] == str(spec.path / place)
    assert told["km_client"] == []
    assert told["argv"] == [str(entry)]
    assert told["path"][0] == str(spec.path)
    assert told["path"].count(str(spec.path / "site")) == 1
    assert "" not in told["path"]


def test_nothing_of_the_launchers_is_still_open(supervisor: PluginSupervisor, make_python: MakePython) -> None:
    listing = """
import contextlib, os, stat
kinds = []
for number in range(256):
    with contextlib.suppress(OSError):
        mode = os.fstat(number).st_mode
        kinds.append("pipe" if stat.S_ISFIFO(mode) else "device" if stat.S_ISCHR(mode) else hex(mode))
print("open:", *sorted(kinds))
"""
    begin(supervisor, make_python("listing", {"listing.py": listing}))
    # /dev/null; stdout's pipe to the host, and the one it was moved aside to with both of its ends; stderr
    until(supervisor, lambda status: "open: device pipe pipe pipe pipe\n" in Path(status.log).read_text())


def test_what_is_imported_before_the_sandbox_is_known_by_name() -> None:
    """Or a plugin's own version of a package we import, and forgot to list, would be ignored."""
    program = (
        "import sys; before = set(sys.modules); sys.path.extend(sys.argv[1:]); import km_plugin_sdk.service;"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)"
    )
    command = [sys.executable, "-I", "-S", "-c", program, *map(str, discovery._provided())]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == set(discovery.PRELOADED)


def test_a_thread_that_the_sandbox_would_not_hold_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["-c", "7", "/where"])
    monkeypatch.setattr(sys, "path", [*sys.path, "/where"])
    ended = threading.Event()
    other = threading.Thread(target=ended.wait)
    other.start()
    try:
        with pytest.raises(SystemExit, match="a thread was started"):
            python.prepare({"provided": [], "preload": False, "site": "", "entry": ""})
    finally:
        ended.set()
        other.join()
