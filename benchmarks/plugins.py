"""How fast plugins start and take events, with the sandbox on: `scripts/bench plugins`.

    {"go_ready_ms": 48.1, "python_ready_ms": 212.0, "go_events_per_second": 61000, …}

Ready: from `start` to a healthy, initialized plugin that waits for its first event; median of several starts.
Events: 600-byte messages offered to the supervisor as the agent does, converted, queued, sent in batches of 64, handled
and counted. The plugins are the SDKs' own, with an empty handler. Needs `go` on PATH for the Go half.
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
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from km_client.plugins import discovery
from km_client.plugins.settings import HostSettings
from km_client.plugins.status import PluginStatus
from km_client.plugins.supervisor import Instance, PluginSupervisor
from km_plugin_sdk.wire import plugin_pb2
from km_protocol.envelope import Event

ROOT = Path(__file__).resolve().parent.parent
GO_SDK = ROOT / "sdk" / "go"
SDK_MODULE = "github.com/kilometers-ai/kilometers-plugin-sdk-go"
READY_LIMIT_MS = {"go": 60.0, "python": 300.0}
EVENTS_LIMIT = {"go": 40_000.0, "python": 15_000.0}

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
    arguments.add_argument("--level", default="strict", choices=["strict", "best-effort", "off"])
    chosen = arguments.parse_args()
    place = Path(tempfile.mkdtemp(prefix="km-bench-"))
    figures: dict[str, object] = {"level": chosen.level, "processors": os.cpu_count()}
    try:
        for kind in ("go", "python"):
            if kind == "go" and shutil.which("go") is None:
                print("no `go` on PATH: the Go plugin is not measured", flush=True)
                continue
            spec = discovery.find(lay_out(place, kind))
            figures |= measure(kind, spec, HostSettings(place / "state", place / "log", chosen.level), chosen)
    finally:
        shutil.rmtree(place)
    figures["within_limits"] = within_limits(figures)
    print(json.dumps(figures))
    return 0


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
    ready = [start_once(spec, settings) for _ in range(chosen.starts)]
    rate, cpu = feed(spec, settings, chosen.events)
    print(f"{kind}: ready in {statistics.median(ready):.0f} ms; {rate:.0f} events/s, {cpu:.1f} µs of host CPU each")
    return {
        f"{kind}_ready_ms": round(statistics.median(ready), 1),
        f"{kind}_ready_worst_ms": round(max(ready), 1),
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


def within_limits(figures: dict[str, object]) -> bool:
    """Every figure that was measured, against what it must reach."""
    ready = [(figures.get(f"{kind}_ready_ms"), limit) for kind, limit in READY_LIMIT_MS.items()]
    rates = [(figures.get(f"{kind}_events_per_second"), limit) for kind, limit in EVENTS_LIMIT.items()]
    slow = [1 for found, limit in ready if isinstance(found, float) and found > limit]
    few = [1 for found, limit in rates if isinstance(found, int) and found < limit]
    return not slow and not few


if __name__ == "__main__":
    sys.exit(main())
