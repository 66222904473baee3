"""A supervisor that is impatient, and the words tests have for it.

begin(supervisor, make_plugin("go")); supervisor.offer([trying("hang")]); until(supervisor, lambda status: …)
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import psutil
from km_client.plugins.discovery import PluginSpec
from km_client.plugins.settings import Deadlines
from km_client.plugins.status import PluginStatus
from km_client.plugins.supervisor import Instance, PluginSupervisor
from km_plugin_sdk.wire import plugin_pb2
from km_protocol.envelope import Event

IMPATIENT = Deadlines(start=8.0, initialize=2.0, call=0.5, health_every=0.3, health=0.3, stop=2.0)
QUICK_BACK_OFF = (0.02, 0.02, 0.02, 0.02)
PATIENCE_SECONDS = 20.0


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


def wait_until(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def begin(supervisor: PluginSupervisor, spec: PluginSpec) -> PluginStatus:
    supervisor.start([Instance(spec.name, spec)])
    supervisor.wait_for(spec.name, "running", "refused", "disabled", timeout=PATIENCE_SECONDS)
    return only(supervisor)


def is_alive(process: psutil.Process) -> bool:
    """Not one that only waits for init to take notice."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
