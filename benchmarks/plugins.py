"""How fast plugins start and take events with the sandbox on, and what they cost the stream: `scripts/bench plugins`.

    {"go_ready_ms": 48.1, "python_ready_ms": 212.0, "go_events_per_second": 61000, "relay_trip_ratio": 1.01, …}

Ready: from `start` to a healthy, initialized plugin that waits for its first event; median of several starts, in turns
with starts without a sandbox.
Events: 600-byte messages offered to the supervisor as the agent does, converted, queued, sent in batches of 64, handled
and counted. The plugins are the SDKs' own, with an empty handler.
Relay: trips with `console-logger` and both of those attached beside trips without plugins; see `_plugin_stream.py`.
Needs `go` and a C compiler.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from km_client.plugins import discovery
from km_client.plugins.settings import HostSettings
from km_client.plugins.status import PluginStatus
from km_client.plugins.supervisor import Instance, PluginSupervisor
from km_plugin_sdk.wire import plugin_pb2
from km_protocol.envelope import Event

from benchmarks import _plugin_stream
from benchmarks._machine import machine
from benchmarks.relay import compiled

ROOT = Path(__file__).resolve().parent.parent
GO_SDK = ROOT / "sdk" / "go"
SDK_MODULE = "github.com/kilometers-ai/kilometers-plugin-sdk-go"
LIMITS: dict[str, Callable[[Any], bool]] = {
    "go_ready_ms": lambda found: found <= 60,
    "python_ready_ms": lambda found: found <= 300,
    "go_events_per_second": lambda found: found >= 40_000,
    "python_events_per_second": lambda found: found >= 15_000,
    "relay_trip_ratio": lambda found: found <= 1.05,
}

GO_PLUGIN = f"""package main

import (
	"context"

	kilometers "{SDK_MODULE}"
)

type quiet struct{{}}

func (quiet) Initialize(context.Context, kilometers.PluginConfig) error       {{ return nil }}
func (quiet) HandleStreamEvent(context.Context, kilometers.StreamEvent) error {{ return nil }}
func (quiet) Shutdown(context.Context) error                                  {{ return nil }}

func main() {{ kilometers.Serve(quiet{{}}) }}
"""
PYTHON_PLUGIN = '''"""Handles every event by doing nothing."""

from km_plugin_sdk import Plugin, StreamEvent, serve


class Quiet(Plugin):
    def handle_stream_event(self, event: StreamEvent) -> None:
        return


if __name__ == "__main__":
    serve(Quiet())
'''


def main() -> int:
    arguments = argparse.ArgumentParser(prog="scripts/bench plugins", description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--starts", type=int, default=9, help="starts of each plugin (default: %(default)s)")
    arguments.add_argument("--events", type=int, default=60_000, help="events to each plugin (default: %(default)s)")
    arguments.add_argument("--rounds", type=int, default=60, help="rounds of 50 trips (default: %(default)s)")
    arguments.add_argument("--level", default="strict", choices=["strict", "best-effort", "off"])
    chosen = arguments.parse_args()
    if shutil.which("go") is None:
        sys.exit("error: no `go` on PATH\n  hint: on Debian and Ubuntu `apt install golang-go`")
    with tempfile.TemporaryDirectory(prefix="km-bench-") as name:
        place = Path(name)
        plugins = {kind: lay_out(place, kind) for kind in ("go", "python")}
        figures: dict[str, object] = {}
        for kind, directory in plugins.items():
            settings = HostSettings(place / "state", place / "log", chosen.level)
            figures |= measure(kind, discovery.find(directory), settings, chosen)
        attached = [ROOT / "plugins" / "console-logger", *plugins.values()]
        figures |= _plugin_stream.measure(place, [str(compiled(place)), "--server"], attached, chosen.rounds)
    report = {
        "benchmark": "plugins",
        "machine": machine() | {"load_1m": round(os.getloadavg()[0], 1)},
        "level": chosen.level,
        **figures,
        "met": {name: holds(figures[name]) for name, holds in LIMITS.items()},
    }
    print(json.dumps(report))
    return 0 if all(report["met"].values()) else 1


def lay_out(place: Path, kind: str) -> Path:
    directory = place / kind
    directory.mkdir()
    entry = "main.py" if kind == "python" else "quiet"
    manifest = {
        "name": f"quiet-{kind}",
        "version": "1.0.0",
        "description": "Handles every event by doing nothing.",
        "author": "Kilometers",
        "license": "Apache-2.0",
        "runtime": kind,
        "entry": entry,
        "compatibility": {"kilometers_cli": ">=0.1.0"},
        "permissions": {"network": False, "filesystem": False, "system": False},
    }
    (directory / "manifest.json").write_text(json.dumps(manifest))
    if kind == "python":
        (directory / entry).write_text(PYTHON_PLUGIN)
    else:
        build(place / "source", directory / entry)
    return directory


def build(source: Path, binary: Path) -> None:
    source.mkdir()
    (source / "main.go").write_text(GO_PLUGIN)
    shutil.copy(GO_SDK / "go.sum", source)
    requirements = (GO_SDK / "go.mod").read_text().split("\n", 1)[1]
    replaced = f"require {SDK_MODULE} v0.0.0\n\nreplace {SDK_MODULE} => {GO_SDK}\n"
    (source / "go.mod").write_text(f"module example.com/quiet\n{requirements}\n{replaced}")
    command = ["go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", str(binary), "."]
    subprocess.run(command, cwd=source, env=os.environ | {"CGO_ENABLED": "0"}, check=True)


def measure(
    kind: str, spec: discovery.PluginSpec, settings: HostSettings, chosen: argparse.Namespace
) -> dict[str, object]:
    unconfined = replace(settings, level="off")
    ready, without = [], []
    for _ in range(chosen.starts):  # in turns, so that whatever else the machine does hits both
        ready.append(start_once(spec, settings))
        without.append(start_once(spec, unconfined))
    rate, cpu = feed(spec, settings, chosen.events)
    print(f"{kind}: ready in {statistics.median(ready):.0f} ms; {rate:.0f} events/s, {cpu:.1f} µs of host CPU each")
    return {
        f"{kind}_ready_ms": round(statistics.median(ready), 1),
        f"{kind}_ready_worst_ms": round(max(ready), 1),
        f"{kind}_ready_without_sandbox_ms": round(statistics.median(without), 1),
        f"{kind}_events_per_second": round(rate),
        f"{kind}_host_cpu_us_per_event": round(cpu, 1),
    }


def started(spec: discovery.PluginSpec, settings: HostSettings) -> PluginSupervisor:
    supervisor = PluginSupervisor(settings, lambda _: plugin_pb2.PluginConfig(customer_id="cus_bench"))
    supervisor.start([Instance(spec.name, spec)])
    state = supervisor.wait_for(spec.name, "running", "refused", "disabled", "backing_off", timeout=30)
    if state != "running":
        sys.exit(f"{spec.name} is {state}: {supervisor.status()[0].trouble}")
    return supervisor


def start_once(spec: discovery.PluginSpec, settings: HostSettings) -> float:
    """Milliseconds until the plugin is ready."""
    began = time.perf_counter()
    supervisor = started(spec, settings)
    milliseconds = (time.perf_counter() - began) * 1e3
    supervisor.stop()
    return milliseconds


def feed(spec: discovery.PluginSpec, settings: HostSettings, events: int) -> tuple[float, float]:
    """(events per second, microseconds of the host's CPU for each)."""
    supervisor = started(spec, settings)
    chunk = [sample(number) for number in range(1_000)]
    supervisor.offer(chunk)
    until(supervisor, lambda status: status.handled >= len(chunk))
    began, cpu = time.perf_counter(), time.process_time()
    offered = len(chunk)
    while offered < events + len(chunk):
        supervisor.offer(chunk)
        offered += len(chunk)
        until(supervisor, lambda status: status.waiting < 8 * len(chunk))
    status = until(supervisor, lambda status: status.handled + status.failed >= offered)
    took, spent = time.perf_counter() - began, time.process_time() - cpu
    supervisor.stop()
    if status.failed or status.dropped:
        sys.exit(f"{spec.name} did not handle everything: {status}")
    return events / took, spent / events * 1e6


def until(supervisor: PluginSupervisor, claim: Callable[[PluginStatus], bool]) -> PluginStatus:
    deadline = time.monotonic() + 60
    while not claim(status := supervisor.status()[0]):
        if time.monotonic() > deadline:
            sys.exit(f"gave up waiting: {status}")
        time.sleep(0.002)
    return status


def sample(number: int) -> Event:
    message = {
        "jsonrpc": "2.0",
        "id": number,
        "method": "tools/call",
        "params": {"name": "read_file", "arguments": {"path": "/tmp/x" * 20}, "text": "z" * 330},
    }
    return Event(
        id=f"019aa000-0000-7000-8000-{number:012d}",
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        type="request",
        direction="request",
        message=msgspec.Raw(json.dumps(message).encode()),
        session_id="019aa000-0000-7000-8000-000000000000",
        sequence=number,
        method="tools/call",
        tool="read_file",
    )


if __name__ == "__main__":
    sys.exit(main())
