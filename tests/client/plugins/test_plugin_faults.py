"""Every way a running plugin can be wrong, with real ones: named, contained, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from km_client.plugins import run_dirs
from km_client.plugins.settings import Deadlines, HostSettings
from km_client.plugins.supervisor import PluginSupervisor

from tests.client.plugins.conftest import ROOT, MakeMisfit, MakePlugin
from tests.client.plugins.supervised import (
    IMPATIENT,
    PATIENCE_SECONDS,
    begin,
    configure,
    event,
    family,
    is_alive,
    only,
    trying,
    until,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the launcher is Linux's")


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


@pytest.mark.parametrize(("fault", "says"), [("shutdown-hangs", "was killed"), ("shutdown-fails", "cannot write its")])
def test_a_plugin_that_does_not_end_in_order_is_ended(
    supervisor: PluginSupervisor, make_misfit: MakeMisfit, fault: str, says: str
) -> None:
    status = begin(supervisor, make_misfit(fault))
    began = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - began < IMPATIENT.stop + 2
    assert status.pid is not None
    assert not psutil.pid_exists(status.pid)
    assert only(supervisor).state == "stopped"
    assert says in Path(status.log).read_text()


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


HOST_PROGRAM = """
import sys, time
from pathlib import Path
from km_client.plugins import discovery
from km_client.plugins.settings import HostSettings
from km_client.plugins.supervisor import Instance, PluginSupervisor
from km_plugin_sdk.wire import plugin_pb2
sys.path.insert(0, sys.argv[1])
from tests.client.plugins.supervised import trying
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
