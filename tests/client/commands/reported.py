"""An agent's report about plugins, as the agent writes it, and an agent that lives as long as the test wants."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from km_client import paths
from km_client.capture import lock
from km_client.plugins import report
from km_client.plugins.report import AccountReport, Attempt, PluginReport, Report
from km_client.plugins.sandbox.guarantees import Level, promised
from km_client.plugins.sandbox.kernel import Kernel
from km_protocol.kmpkg.manifest import Permissions

NEW_KERNEL = Kernel("x86_64", 7, frozenset({"errno", "user_notif"}))
OLD_KERNEL = Kernel("x86_64", 5, frozenset({"errno", "user_notif"}))  # Linux 6.10: no signal or abstract-socket scope
NO_SANDBOX = Kernel("x86_64", 0, frozenset())
NASTY = "\x1b[2J\x9b31m\u202e\x07\udcff"  # clears the screen, colours, turns the line round, rings, is no text


def tell(*plugins: PluginReport, accounts: tuple[AccountReport, ...] = ()) -> None:
    assert report.write(paths.agent_dir() / report.FILE_NAME, Report(datetime.now(UTC), [*plugins], [*accounts]))


def plugin(key: str = "tool-stats", state: str = "running", kernel: Kernel = NEW_KERNEL, **more: Any) -> PluginReport:
    """One that keeps every promise of `kernel` for its permissions."""
    level: Level = more.setdefault("level", "strict")
    rows = promised(Permissions(more.get("network", False)), kernel, level)
    more = {"version": "1.0.0", "path": f"/nowhere/{key}", "tier": "Free", "log": str(log_of(key))} | more
    return PluginReport(
        key,
        key.partition("@")[0],
        state,
        enforced=[row for row in rows if row.enforced],
        not_enforced=[row for row in rows if not row.enforced],
        **more,
    )


def log_of(key: str) -> Any:
    return paths.data_dir() / "plugins" / "log" / f"{key}.log"


def account(**more: Any) -> AccountReport:
    """One that was refreshed three minutes ago."""
    now = datetime.now(UTC)
    said: dict[str, Any] = {
        "key": "km_live_0Qm3",
        "customer_id": "cus_1",
        "tier": "Pro",
        "status": "active",
        "features": ["api_logging", "console_logging"],
        "lease_state": "valid",
        "refreshed_at": now - timedelta(minutes=3),
        "next_refresh_at": now + timedelta(minutes=2),
        "offline_until": now + timedelta(days=7),
    }
    return AccountReport("http://127.0.0.1:8318", **said | more)


def attempt(target: str = "203.0.113.7:443", count: int = 3) -> Attempt:
    return Attempt(
        "connect", target, "reaching another program", count, 1_795_362_000_000_000_000, 1_795_362_001_000_000_000
    )


@contextmanager
def living_agent() -> Iterator[int]:
    """What makes a process the agent: it holds the lock, and its id is in there."""
    paths.make_private(paths.agent_dir())
    fd = os.open(paths.agent_lock(), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        assert lock.hold(fd)
        os.write(fd, f"{os.getpid()}\n".encode())
        yield os.getpid()
    finally:
        os.close(fd)


def is_harmless(text: str) -> bool:
    """Whether a terminal would do nothing but show it."""
    return all(char.isprintable() or char in "\n\t" for char in text)
