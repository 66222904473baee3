"""What the agent tells others about plugins and what they are entitled to: `agent/plugins.json`, replaced whole.

    {"updated_at": "2026-11-22T15:40:00Z",
     "plugins": [{"key": "tool-stats", "name": "tool-stats", "version": "1.0.0", "state": "running", "handled": 12, …}],
     "accounts": [{"url": "https://kilometers.example.com", "key": "km_live_0Qm3", "tier": "Pro", …}]}

`plugins …`, `status` and `doctor` read it. Whether the agent lives is told by its lock, not by this file: of an agent
that is gone, the counts and the troubles are still true, the states and processes are not. Fields that this version
does not know are passed over, so that a newer agent's file is read by an older command.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from km_client import struct_file
from km_client.plugins.sandbox.attempts import Attempt
from km_client.plugins.sandbox.guarantees import Guarantee
from km_client.plugins.status import PluginStatus, Trouble

__all__ = [
    "AccountReport",
    "Attempt",
    "Guarantee",
    "PluginReport",
    "Report",
    "Trouble",
    "plugin_report",
    "read",
    "write",
]

FILE_NAME = "plugins.json"
NOT_ENTITLED = "not_entitled"  # it needs a feature that the account does not have
UNAVAILABLE = "unavailable"  # there is nothing to start: no such path, a bad manifest
BARRED = frozenset({"blocked", "yanked", "replaced"})  # the registry does not let it run
ENDED = "ended"  # the agent that ran it is gone: no agent writes this, `as_ended` does
_ALLOWING = frozenset({"valid", "refresh_due", "grace"})


class PluginReport(msgspec.Struct):
    """One plugin. `state` is a `lifecycle.State`, `not_entitled`, `unavailable` or one of `BARRED`.

    `dropped` is reason → events.
    `features` are those it was given, `missing_features` those it requires and the account does not have,
    `withheld_features` those it could do without and does not have. `origin` is a `discovery.Origin`. `account` is
    the displayed part of the key that pays for it, or empty; `sessions` are the ids of those it is fed from.
    """

    key: str
    name: str
    state: str
    version: str = ""
    path: str = ""
    runtime: str = ""
    pid: int | None = None
    crashes: int = 0
    retry_at: datetime | None = None
    trouble: Trouble | None = None
    handled: int = 0
    failed: int = 0
    waiting: int = 0
    dropped: dict[str, int] = {}
    network: bool = False
    filesystem: bool = False
    system: bool = False
    level: str = ""
    enforced: list[Guarantee] = []
    not_enforced: list[Guarantee] = []
    attempted: list[Attempt] = []
    attempted_unlisted: int = 0
    log: str = ""
    features: list[str] = []
    missing_features: list[str] = []
    withheld_features: list[str] = []
    origin: str = ""
    tier: str = ""
    account: str = ""
    sessions: list[str] = []
    started_at: datetime | None = None


class AccountReport(msgspec.Struct):
    """One server and key. `lease_state` is a `claims.LeaseState`, or empty without a lease; `offline_until` is when the
    features end if the server stays away; `problem` is why the last refresh failed, empty after one that worked.
    """

    url: str
    key: str = ""
    customer_id: str = ""
    tier: str = ""
    status: str = ""
    features: list[str] = []
    lease_state: str = ""
    refreshed_at: datetime | None = None
    next_refresh_at: datetime | None = None
    offline_until: datetime | None = None
    problem: str = ""


class Report(msgspec.Struct):
    """The whole file."""

    updated_at: datetime
    plugins: list[PluginReport] = []
    accounts: list[AccountReport] = []


def plugin_report(  # noqa: PLR0913 - what the supervisor does not know about a plugin
    status: PluginStatus,
    *,
    now: datetime,
    runtime: str = "",
    features: frozenset[str] = frozenset(),
    tier: str = "",
    account: str = "",
    sessions: tuple[str, ...] = (),
    started_at: datetime | None = None,
) -> PluginReport:
    """What the supervisor says of a plugin, with what only the agent knows."""
    retry = status.retry_in_seconds
    return PluginReport(
        key=status.key,
        name=status.name,
        state=status.state,
        version=status.version,
        path=status.path,
        runtime=runtime,
        pid=status.pid,
        crashes=status.crashes,
        retry_at=None if retry is None else now + timedelta(seconds=retry),
        trouble=status.trouble,
        handled=status.handled,
        failed=status.failed,
        waiting=status.waiting,
        dropped=dict(status.dropped),
        network=status.permissions.network,
        filesystem=status.permissions.filesystem,
        system=status.permissions.system,
        level=status.level,
        enforced=[row for row in status.guarantees if row.enforced],
        not_enforced=[row for row in status.guarantees if not row.enforced],
        attempted=list(status.attempts),
        attempted_unlisted=status.attempts_unlisted,
        log=status.log,
        features=sorted(features),
        tier=tier,
        account=account,
        sessions=list(sessions),
        started_at=started_at,
    )


def barred_state(code: str) -> str:
    """The state of a plugin that the registry refused with the error `code`, such as `plugin_yanked`."""
    state = code.removeprefix("plugin_")
    return state if state in BARRED else NOT_ENTITLED


def write(path: Path, report: Report) -> bool:
    """Whether it could be written; on a full disk the old one stays."""
    return struct_file.write(path, _encoded(report))


def read(path: Path) -> Report | None:
    """The last report that was written, by a living agent or not; `None` if there is none that can be read."""
    return struct_file.read(path, Report)


def as_ended(plugin: PluginReport, state: str = ENDED) -> PluginReport:
    """What is still true of it without its process; as `ENDED`, without the agent that wrote this."""
    return msgspec.structs.replace(plugin, state=state, pid=None, retry_at=None, waiting=0, sessions=[])


def as_of(account: AccountReport, now: datetime) -> AccountReport:
    """What became of it since an agent that is gone wrote this: a lease runs out by itself."""
    has_run_out = account.lease_state in _ALLOWING and account.offline_until and account.offline_until <= now
    return msgspec.structs.replace(account, lease_state="expired") if has_run_out else account


def _encoded(report: Report) -> bytes:
    try:
        return msgspec.json.encode(report)
    except UnicodeEncodeError:  # a plugin may have tried a path that is no text: that costs one name, not the report
        return msgspec.json.encode(_printable(msgspec.to_builtins(report)))


def _printable(value: Any) -> Any:
    """`value` with the bytes that no text has written as `\\udcff`."""
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    return [_printable(item) for item in value] if isinstance(value, list) else value
