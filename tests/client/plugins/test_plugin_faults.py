"""Every way a plugin can be wrong, with real ones: named, contained, and nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from km_client.plugins import discovery, run_dirs
from km_client.plugins.errors import RefusedError
from km_client.plugins.sandbox.kernel import Kernel
from km_client.plugins.settings import Deadlines, HostSettings
from km_client.plugins.status import PluginStatus, inspection
from km_client.plugins.supervisor import Instance, PluginSupervisor
from km_plugin_sdk.wire import plugin_pb2
from km_protocol.envelope import Event

from tests.client.plugins.conftest import HERE, ROOT, MakePlugin, build_go, manifest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the launcher is Linux's")

IMPATIENT = Deadlines(start=8.0, initialize=2.0, call=0.5, health_every=0.3, health=0.3, stop=2.0)
QUICK_BACK_OFF = (0.02, 0.02, 0.02, 0.02)
PATIENCE_SECONDS = 20.0


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


def configure(_name: str) -> plugin_pb2.PluginConfig:
    return plugin_pb2.PluginConfig(customer_id="cus_test")


def family() -> set[int]:
    """Every process that descends from this one, zombies included."""
    return {child.pid for child in psutil.Process().children(recursive=True)}


def trying(what: str, number: int = 0, **order: Any) -> Event:
    """An event that tells the probe what to try."""
    return event(number, {"try": what} | order)


def event(number: int = 0, order: dict[str, Any] | None = None) -> Event:
    return Event(
        id=f"event-{number}",
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        type="request",
        direction="request",
        message=msgspec.Raw(json.dumps(order or {}).encode()),
    )


def only(supervisor: PluginSupervisor) -> PluginStatus:
    (status,) = supervisor.status()
    return status


def until(supervisor: PluginSupervisor, claim: Callable[[PluginStatus], bool]) -> PluginStatus:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not claim(status := only(supervisor)):
        assert time.monotonic() < deadline, status
        time.sleep(0.005)
    return status


def begin(supervisor: PluginSupervisor, spec: discovery.PluginSpec) -> PluginStatus:
    supervisor.start([Instance(spec.name, spec)])
    supervisor.wait_for(spec.name, "running", "refused", "disabled", timeout=PATIENCE_SECONDS)
    return only(supervisor)


@pytest.fixture(scope="module")
def misfit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("misfit")
    build_go(HERE / "misfit_go", place / "source", place / "misfit")
    return place / "misfit"


@pytest.fixture
def make_misfit(tmp_path: Path, misfit: Path) -> Callable[[str], discovery.PluginSpec]:
    def make(fault: str) -> discovery.PluginSpec:
        directory = tmp_path / fault
        directory.mkdir()
        shutil.copy(misfit, directory / fault)
        (directory / "manifest.json").write_text(manifest(fault, "go", fault))
        return discovery.find(directory)

    return make


def test_a_plugin_with_the_guides_three_calls_gets_its_events_one_by_one(
    supervisor: PluginSupervisor, make_misfit: Callable[[str], discovery.PluginSpec]
) -> None:
    assert begin(supervisor, make_misfit("unary")).state == "running"
    supervisor.offer([event(number) for number in range(200)])
    status = until(supervisor, lambda status: status.handled == 200)
    assert (status.failed, status.dropped) == (0, {})
    assert "one by one" in Path(status.log).read_text()


@pytest.mark.parametrize(
    ("fault", "state", "code", "says"),
    [
        ("wrong-cookie", "refused", "handshake_cookie", "another magic cookie"),
        ("wrong-version", "refused", "handshake_version", "`7`"),
        ("noise", "refused", "handshake_noise", "loading config"),
        ("netrpc", "refused", "handshake_protocol", "`netrpc`"),
        ("exits", "disabled", "exited_before_handshake", "cannot find my licence"),
    ],
)
def test_a_wrong_handshake_is_named(
    supervisor: PluginSupervisor,
    make_misfit: Callable[[str], discovery.PluginSpec],
    fault: str,
    state: str,
    code: str,
    says: str,
) -> None:
    status = begin(supervisor, make_misfit(fault))
    assert status.trouble is not None
    assert (status.state, status.trouble.code) == (state, code)
    assert says in status.trouble.message
    assert says in Path(status.log).read_text()


def test_a_plugin_that_never_says_hello_is_given_up(
    impatient: HostSettings, make_misfit: Callable[[str], discovery.PluginSpec]
) -> None:
    hurried = replace(impatient, deadlines=replace(IMPATIENT, start=0.3))
    supervisor = PluginSupervisor(hurried, configure)
    try:
        status = begin(supervisor, make_misfit("silent"))
        assert status.trouble is not None
        assert (status.state, status.trouble.code, status.crashes) == ("disabled", "start_timeout", 5)
    finally:
        supervisor.stop()


@pytest.mark.parametrize("kind", ["python", "go"])
def test_a_plugin_that_wants_mutual_tls_gets_it(
    supervisor: PluginSupervisor, make_plugin: MakePlugin, kind: str
) -> None:
    assert begin(supervisor, replace(make_plugin(kind), mutual_tls=True)).state == "running"
    supervisor.offer([event()])
    until(supervisor, lambda status: status.handled == 1)


@pytest.mark.parametrize("kind", ["python", "go"])
def test_a_handler_that_throws_fails_its_event_and_no_other(
    supervisor: PluginSupervisor, make_plugin: MakePlugin, kind: str
) -> None:
    begin(supervisor, make_plugin(kind))
    supervisor.offer([event(1), trying("raise", 2), event(3)])
    status = until(supervisor, lambda status: status.handled + status.failed == 3)
    assert (status.state, status.handled, status.failed, status.crashes) == ("running", 2, 1, 0)
    assert "as told" in Path(status.log).read_text()


@pytest.mark.parametrize("kind", ["python", "go"])
def test_a_handler_that_hangs_is_ended_and_started_again(
    supervisor: PluginSupervisor, make_plugin: MakePlugin, kind: str
) -> None:
    pid = begin(supervisor, make_plugin(kind)).pid
    for _ in range(3):
        supervisor.offer([trying("hang")])
        dropped = only(supervisor).dropped.get("deadline", 0)
        until(supervisor, lambda status, seen=dropped: status.dropped.get("deadline", 0) > seen)  # type: ignore[misc]
    status = until(supervisor, lambda status: status.state == "running" and status.crashes == 1)
    assert status.pid != pid
    assert status.trouble is not None
    assert status.trouble.code == "hung"
    supervisor.offer([event()])
    until(supervisor, lambda status: status.handled == 1)


@pytest.mark.parametrize("kind", ["python", "go"])
def test_a_plugin_that_exits_is_started_again_and_its_event_counted(
    supervisor: PluginSupervisor, make_plugin: MakePlugin, kind: str
) -> None:
    begin(supervisor, make_plugin(kind))
    supervisor.offer([trying("leave", code=3)])
    status = until(supervisor, lambda status: status.state == "running" and status.crashes == 1)
    assert status.trouble is not None
    assert "exited with code 3" in status.trouble.message
    assert status.dropped == {"crash": 1}


def test_five_crashes_disable_a_plugin_for_everyone_to_see(
    supervisor: PluginSupervisor, make_plugin: MakePlugin
) -> None:
    begin(supervisor, make_plugin("go"))
    for crashes in range(1, 5):
        supervisor.offer([trying("leave", code=1)])
        until(supervisor, lambda status, crashes=crashes: (status.state, status.crashes) == ("running", crashes))  # type: ignore[misc]
    supervisor.offer([trying("leave", code=1)])
    status = until(supervisor, lambda status: status.state == "disabled")
    assert status.trouble is not None
    assert status.crashes == 5
    supervisor.offer([event()])
    assert only(supervisor).dropped["not_running"] == 1


@pytest.mark.parametrize("kind", ["python", "go"])
def test_a_plugin_that_leaks_two_gigabytes_does_not_get_them(
    supervisor: PluginSupervisor, make_plugin: MakePlugin, kind: str
) -> None:
    begin(supervisor, make_plugin(kind))
    supervisor.offer([trying("memory", bytes_wanted=2 << 30)])
    status = until(supervisor, lambda status: status.failed == 1 or status.crashes == 1)
    until(supervisor, lambda status: status.state == "running")
    assert set(status.dropped) <= {"crash", "deadline"}


@pytest.mark.parametrize("kind", ["python", "go"])
@pytest.mark.parametrize("stream", ["flood", "flood_stdout"])
def test_a_hundred_megabytes_of_output_are_read_and_not_kept(
    impatient: HostSettings, make_plugin: MakePlugin, kind: str, stream: str
) -> None:
    supervisor = PluginSupervisor(replace(impatient, deadlines=replace(IMPATIENT, call=20.0, health=5.0)), configure)
    try:
        begin(supervisor, make_plugin(kind))
        before = psutil.Process().memory_info().rss
        supervisor.offer([trying(stream, mebibytes=100)])
        status = until(supervisor, lambda status: status.handled == 1)
        assert psutil.Process().memory_info().rss - before < 64 << 20
        assert (status.state, status.crashes) == ("running", 0)
    finally:
        supervisor.stop()
    assert sum(file.stat().st_size for file in Path(status.log).parent.iterdir()) < 2 << 20
    if stream == "flood":  # what goes to stdout is capped by the SDK already
        assert "bytes of output were not kept" in Path(status.log).read_text()


@pytest.mark.parametrize("kind", ["python", "go"])
def test_a_stopped_plugin_is_ended_and_started_again(
    supervisor: PluginSupervisor, make_plugin: MakePlugin, kind: str
) -> None:
    pid = begin(supervisor, make_plugin(kind)).pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    status = until(supervisor, lambda status: status.state == "running" and status.crashes == 1)
    assert status.pid != pid
    assert status.trouble is not None
    assert status.trouble.code == "unhealthy"


def test_a_stopped_plugin_does_not_hold_up_the_end(impatient: HostSettings, make_plugin: MakePlugin) -> None:
    supervisor = PluginSupervisor(replace(impatient, deadlines=Deadlines(stop=0.5)), configure)
    pid = begin(supervisor, make_plugin("go")).pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    supervisor.stop()
    assert not psutil.pid_exists(pid)
    assert "was killed" in Path(only(supervisor).log).read_text()


@pytest.mark.parametrize("kind", ["python", "go"])
def test_the_children_of_a_plugin_end_with_it(supervisor: PluginSupervisor, make_plugin: MakePlugin, kind: str) -> None:
    before = family()
    begin(supervisor, make_plugin(kind, system=True))
    supervisor.offer([trying("leave_child")])
    until(supervisor, lambda status: status.handled == 1)
    children = [psutil.Process(pid) for pid in family() - before]
    assert any(child.name() == "sleep" for child in children)
    supervisor.stop()
    assert not [child for child in children if is_alive(child)]


def is_alive(process: psutil.Process) -> bool:
    """Not one that only waits for init to take notice."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


HOST_PROGRAM = """
import sys, time
from pathlib import Path
from km_client.plugins import discovery
from km_client.plugins.settings import HostSettings
from km_client.plugins.supervisor import Instance, PluginSupervisor
from km_plugin_sdk.wire import plugin_pb2
sys.path.insert(0, sys.argv[1])
from tests.client.plugins.test_plugin_faults import trying
place = Path(sys.argv[2])
supervisor = PluginSupervisor(
    HostSettings(place / "state", place / "log", run_root=place), lambda _: plugin_pb2.PluginConfig()
)
specs = [discovery.find(Path(path)) for path in sys.argv[3:]]
supervisor.start([Instance(spec.name, spec) for spec in specs])
for spec in specs:
    supervisor.wait_for(spec.name, "running", timeout=20)
supervisor.offer([trying("leave_child")])
while sum(status.handled for status in supervisor.status()) < len(specs):
    time.sleep(0.01)
print("ready", flush=True)
time.sleep(1000)
"""


def test_a_host_that_is_killed_takes_every_process_along(make_plugin: MakePlugin, tmp_path: Path) -> None:
    specs = [make_plugin(kind, system=True) for kind in ("go", "python")]
    place = Path(f"/tmp/km-killed-{os.getpid()}")
    place.mkdir()
    command = [sys.executable, "-c", HOST_PROGRAM, str(ROOT), str(place), *(str(spec.path) for spec in specs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == "ready\n"
        descendants = psutil.Process(host.pid).children(recursive=True)
        assert len(descendants) >= 6  # a guard, a plugin and a child of it, twice
        host.kill()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(is_alive(process) for process in descendants):
        assert time.monotonic() < deadline, descendants
        time.sleep(0.01)
    left = list(place.glob("km-*"))
    assert left
    run_dirs.sweep(place)
    assert not [path for path in left if path.exists()]
    shutil.rmtree(place)


def test_a_queue_that_is_full_drops_and_counts(supervisor: PluginSupervisor, make_plugin: MakePlugin) -> None:
    begin(supervisor, make_plugin("python"))
    supervisor.offer([trying("hang")])
    supervisor.offer([event(number) for number in range(25_000)])
    status = until(supervisor, lambda status: status.dropped.get("queue_full", 0) > 0)
    assert status.dropped["queue_full"] >= 4_900


def test_level_strict_refuses_what_the_kernel_cannot_enforce_and_says_what_is_missing(
    impatient: HostSettings, make_plugin: MakePlugin
) -> None:
    supervisor = PluginSupervisor(impatient, configure, kernel=Kernel("x86_64", 0, frozenset({"errno"})))
    try:
        status = begin(supervisor, make_plugin("go"))
    finally:
        supervisor.stop()
    assert status.trouble is not None
    assert (status.state, status.trouble.code) == ("refused", "sandbox_missing")
    assert "Linux 5.13" in status.trouble.message
    assert status.pid is None


def test_level_best_effort_starts_with_what_there_is_and_says_what_is_not(
    impatient: HostSettings, make_plugin: MakePlugin
) -> None:
    older = Kernel(os.uname().machine, 0, frozenset({"errno", "allow"}))
    supervisor = PluginSupervisor(replace(impatient, level="best-effort"), configure, kernel=older)
    try:
        status = begin(supervisor, make_plugin("go"))
        shown = inspection(status)
        supervisor.offer([trying("tcp", host="127.0.0.1", port=1)])
        until(supervisor, lambda status: status.failed == 1)
    finally:
        supervisor.stop()
    assert status.state == "running"
    assert {row["code"] for row in shown["not_enforced"]} == {"files", "truncation"}
    assert {"sockets", "processes"} <= {row["code"] for row in shown["enforced"]}


def test_level_off_enforces_nothing_and_says_so(
    impatient: HostSettings, make_plugin: MakePlugin, tmp_path: Path
) -> None:
    supervisor = PluginSupervisor(replace(impatient, level="off"), configure)
    try:
        status = begin(supervisor, make_plugin("go"))
        supervisor.offer([trying("write", path=str(tmp_path / "anywhere"))])
        until(supervisor, lambda status: status.handled == 1)
    finally:
        supervisor.stop()
    assert inspection(status)["enforced"] == []


def test_new_features_reach_a_running_plugin_without_a_restart(
    supervisor: PluginSupervisor, make_plugin: MakePlugin
) -> None:
    first = begin(supervisor, make_plugin("python"))
    supervisor.reconfigure([first.key])
    until(supervisor, lambda _: "reconfigured" in Path(first.log).read_text())
    assert (only(supervisor).state, only(supervisor).pid) == ("running", first.pid)


def test_a_plugin_that_cannot_take_new_features_is_started_anew(
    supervisor: PluginSupervisor, make_misfit: Callable[[str], discovery.PluginSpec]
) -> None:
    pid = begin(supervisor, make_misfit("unary")).pid
    supervisor.reconfigure()
    status = until(supervisor, lambda status: status.state == "running" and status.pid not in {None, pid})
    assert status.crashes == 0


def refusal(path: Path, **options: Any) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        discovery.find(path, **options)
    return caught.value


def test_what_cannot_be_started_is_named(make_plugin: MakePlugin, tmp_path: Path) -> None:
    spec = make_plugin("go")
    assert refusal(tmp_path / "nowhere").code == "plugin_missing"
    assert refusal(tmp_path / "x.kmpkg").code == "package_unsupported"
    assert refusal(tmp_path).code == "manifest_missing"
    assert refusal(spec.path, private=(spec.path / "config",)).code == "plugin_place"
    assert discovery.find(spec.program).own == (spec.program, spec.path / "manifest.json")
    spec.program.chmod(0o600 & ~stat.S_IXUSR)
    assert refusal(spec.path).code == "program_not_executable"
    spec.program.write_bytes(b"#!/bin/sh\n")
    spec.program.chmod(0o700)
    assert "is a script" in str(refusal(spec.path))
    spec.program.write_bytes(b"\x7fELF\x02\x01\x01".ljust(18, b"\0") + (183).to_bytes(2, "little").ljust(46, b"\0"))
    assert "was built for aarch64" in str(refusal(spec.path)) or os.uname().machine == "aarch64"
    spec.program.unlink()
    assert refusal(spec.path).code == "program_missing"
    (spec.path / "manifest.json").write_text("{}")
    assert refusal(spec.path).code == "manifest_invalid"


def test_a_program_that_vanishes_after_it_was_found_is_named(
    supervisor: PluginSupervisor, make_plugin: MakePlugin
) -> None:
    spec = make_plugin("go")
    spec.program.unlink()
    status = begin(supervisor, spec)
    assert status.trouble is not None
    assert (status.state, status.trouble.code) == ("refused", "program_missing")
