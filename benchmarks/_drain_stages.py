"""The drain's own CPU time by stage, in microseconds an event: run beside a service whose workers stand still.

    measure(running.environment)  → {"events": 50000, "decode_us_per_event": 31.0, "copy_us_per_event": 24.5, …}

A process of its own with the service's settings drains what waits, by the worker's own code. The functions of its
stages are wrapped where the drain looks them up, so what is timed is what runs; `other` is the rest of the drain:
committing, and what lies between the stages.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STAGES = {  # what it is called here: where the drain finds it
    "claim": ("events.inbox", "claim"),
    "decode": ("events.drain", "_digest"),
    "sessions": ("events.sessions", "add"),
    "rollups": ("events.rollups", "add"),
    "export": ("events.stored_hooks", "stored"),
    "usage": ("events.quotas", "settle"),
    "remove": ("events.inbox", "remove"),
}
COPY, OTHER = "copy", "other"


def measure(environment: Mapping[str, str]) -> dict[str, Any]:
    """Drain everything that waits. Raises `CalledProcessError`."""
    command = [sys.executable, "-m", "benchmarks._drain_stages"]
    own = {**environment, "DJANGO_SETTINGS_MODULE": "kmcloud.settings"}
    done = subprocess.run(command, env=own, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def timed(spent: dict[str, float], name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """`work`, whose CPU time of this thread is added to `spent[name]`."""

    def run(*arguments: Any, **named: Any) -> Any:
        begun = time.thread_time()
        try:
            return work(*arguments, **named)
        finally:
            spent[name] = spent.get(name, 0.0) + time.thread_time() - begun

    return run


def wrap(spent: dict[str, float]) -> None:
    """Have every stage of the drain timed from now on, in this process."""
    from events import stores  # noqa: PLC0415 - Django must be set up

    for name, (module, function) in STAGES.items():
        place = importlib.import_module(module)
        setattr(place, function, timed(spent, name, getattr(place, function)))
    store: Any = stores.current()  # one object for the life of the process
    store.insert = timed(spent, COPY, store.insert)


def by_event(spent: Mapping[str, float], total: float, events: int) -> dict[str, float]:
    """Microseconds an event of each stage; they add up to `total` seconds."""
    parts = {**spent, OTHER: total - sum(spent.values())}
    return {f"{name}_us_per_event": round(seconds / events * 1e6, 1) for name, seconds in parts.items()}


def main() -> int:
    import django  # noqa: PLC0415 - this module is imported by processes that know no Django

    django.setup()
    from core.clock import now  # noqa: PLC0415 - Django must be set up
    from events.drain import Drained, drain  # noqa: PLC0415 - as above

    spent: dict[str, float] = {}
    wrap(spent)
    total, begun, own = Drained(), time.perf_counter(), time.thread_time()
    while (step := drain(now=now())).rows:
        total += step
    own, seconds = time.thread_time() - own, time.perf_counter() - begun
    events = max(1, total.stored + total.duplicates)
    result = {"events": total.stored, "events_per_s": round(events / seconds), **by_event(spent, own, events)}
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
