"""Real plugins for the host's tests: a Python one and a Go one, compiled on the spot, that try what they are told.

async with running(spec, settings) as plugin:
    assert (await plugin.tries("tcp", host="127.0.0.1", port=port)) == "PermissionError: …"
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from km_client.plugins import discovery
from km_client.plugins.confinement import Surroundings
from km_client.plugins.discovery import PluginSpec
from km_client.plugins.logs import PluginLog
from km_client.plugins.sandbox.attempts import AttemptLog
from km_client.plugins.sandbox.kernel import probe
from km_client.plugins.session import Session
from km_client.plugins.settings import HostSettings
from km_client.plugins.supervisor import PluginSupervisor
from km_plugin_sdk.wire import plugin_pb2

from tests.client.plugins.supervised import IMPATIENT, QUICK_BACK_OFF, configure, family

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent
GO_SDK = ROOT / "sdk" / "go"
# Set by the run of these tests as another user, who cannot read the first one's cache.
BUILT_ELSEWHERE = "PROBE_GO_BINARY"
PERMISSIONS = ("network", "filesystem", "system")

MakePlugin = Callable[..., PluginSpec]
MakeMisfit = Callable[[str], PluginSpec]


@pytest.fixture(scope="session")
def go_probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go plugin's binary."""
    if BUILT_ELSEWHERE in os.environ:
        return Path(os.environ[BUILT_ELSEWHERE])
    return built(tmp_path_factory, "probe_go")


@pytest.fixture(scope="session")
def misfit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The binary whose name is its fault."""
    return built(tmp_path_factory, "misfit_go")


def built(tmp_path_factory: pytest.TempPathFactory, name: str) -> Path:
    """One of our Go programs, compiled once for all workers of a run."""
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    place.mkdir(exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        binary = place / "binary"
        if not binary.exists():
            build_go(HERE / name, place / "source", binary)
    return binary


def build_go(source: Path, work: Path, binary: Path, **environment: str) -> None:
    """Compile one of our fixtures against the SDK of this checkout."""
    shutil.copytree(source, work)
    shutil.copy(GO_SDK / "go.sum", work)
    module = (GO_SDK / "go.mod").read_text().split("\n", 1)[1]
    sdk = "github.com/kilometers-ai/kilometers-plugin-sdk-go"
    required = f"\nrequire {sdk} v0.0.0\n\nreplace {sdk} => {GO_SDK}\n"
    (work / "go.mod").write_text(f"module example.com/probe\n{module}{required}")
    command = ["go", "build", "-trimpath", "-buildvcs=false", "-o", str(binary), "."]
    home = {"HOME": str(Path("~root").expanduser())} if os.getuid() == 0 else {}  # where Go's caches are
    done = subprocess.run(
        command,
        cwd=work,
        env=os.environ | home | {"CGO_ENABLED": "0"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def make_plugin(tmp_path: Path, request: pytest.FixtureRequest) -> MakePlugin:
    """`make_plugin("go", network=True)`: a probe with these permissions, in a directory of its own."""

    def make(kind: str, *, name: str = "", **permissions: bool) -> PluginSpec:
        return discovery.find(lay_out(tmp_path, request, kind, name=name, **permissions))

    return make


def lay_out(tmp_path: Path, request: pytest.FixtureRequest, kind: str, *, name: str = "", **permissions: bool) -> Path:
    """The probe's directory."""
    name = name or f"probe-{kind}"
    directory = tmp_path / "plugins" / name
    directory.mkdir(parents=True)
    entry = "main.py" if kind == "python" else "probe"
    source = HERE / "probe_python" / "main.py" if kind == "python" else request.getfixturevalue("go_probe")
    shutil.copy(source, directory / entry)
    (directory / "manifest.json").write_text(manifest(name, kind, entry, **permissions))
    return directory


def manifest(
    name: str, runtime: str, entry: str, compatibility: Mapping[str, str] | None = None, /, **permissions: bool
) -> str:
    document = {
        "name": name,
        "version": "1.0.0",
        "description": "Tries what it is told.",
        "author": "Tests",
        "license": "Apache-2.0",
        "runtime": runtime,
        "entry": entry,
        "compatibility": compatibility or {"kilometers_cli": ">=1.0.0"},
        "permissions": dict.fromkeys(PERMISSIONS, False) | permissions,
    }
    return json.dumps(document)


@pytest.fixture
def settings(tmp_path: Path) -> HostSettings:
    return HostSettings(tmp_path / "state", tmp_path / "log", run_root=Path("/tmp"))


@pytest.fixture
def impatient(settings: HostSettings) -> HostSettings:
    return replace(settings, deadlines=IMPATIENT, back_off_seconds=QUICK_BACK_OFF)


@pytest.fixture
def supervisor(impatient: HostSettings) -> Iterator[PluginSupervisor]:
    before = family()
    running = PluginSupervisor(impatient, configure)
    yield running
    running.stop()
    assert family() - before == set(), "a process was left behind"


@pytest.fixture
def make_misfit(tmp_path: Path, misfit: Path) -> MakeMisfit:
    def make(fault: str) -> PluginSpec:
        directory = tmp_path / fault
        directory.mkdir()
        shutil.copy(misfit, directory / fault)
        (directory / "manifest.json").write_text(manifest(fault, "go", fault))
        return discovery.find(directory)

    return make


@dataclass(frozen=True, slots=True)
class RunningPlugin:
    """A started session and what it is surrounded by."""

    session: Session
    around: Surroundings

    async def tries(self, what: str, **order: Any) -> str:
        """What the plugin was answered: empty when it was let."""
        message = json.dumps({"try": what, **order}).encode()
        event = plugin_pb2.StreamEvent(id="1", type="request", direction="request", message=message)
        request = plugin_pb2.HandleStreamEventRequest(event=event)
        answer = await self.session.connection.plugin.HandleStreamEvent(request, timeout=20)
        return "" if answer.success else str(answer.error)

    def attempted(self, call: str, target: str) -> bool:
        """Whether a refused `call` aimed at `target` was written down."""
        return any(row.call in call.split("|") and target in row.target for row in self.around.attempts.rows())


@asynccontextmanager
async def running(spec: PluginSpec, settings: HostSettings) -> AsyncIterator[RunningPlugin]:
    """Started in its sandbox and initialized; ended and reaped afterwards."""
    log = PluginLog(settings.log_dir / f"{spec.name}.log", lambda: 0.0)
    around = Surroundings(spec.name, spec, settings, probe(), log, AttemptLog())
    session = Session(around)
    try:
        await session.start(plugin_pb2.PluginConfig(customer_id="cus_test"))
        yield RunningPlugin(session, around)
    finally:
        await session.close()
        log.close()
