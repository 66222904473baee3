"""Everything the launcher does before it becomes the plugin, as plain values.

    >>> plan(Program("/p/tool-stats", ("tool-stats",), {…}), policy, places, host_pid=1, pid=4711)
    {'strict': True, 'limits': [(4, 0), …], 'landlock': (b'…', [('/p', 13, 5), …]), 'filters': [(8, b'…'), …], …}

The launcher is kept free of decisions: what it does was computed here, from tables that a test can read. The values are
marshalled, which both ends understand without an import because both are the same interpreter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from km_protocol.kmpkg.manifest import Permissions

from km_client.plugins.sandbox.calls import rules
from km_client.plugins.sandbox.files import WRITING, FileRule, Places, file_rules, links
from km_client.plugins.sandbox.guarantees import Level, needs_private_root
from km_client.plugins.sandbox.kernel import Kernel
from km_client.plugins.sandbox.landlock import ruleset
from km_client.plugins.sandbox.limits import DEFAULT_MEMORY_BYTES, limits
from km_client.plugins.sandbox.seccomp import program

# linux/seccomp.h: SECCOMP_FILTER_FLAG_NEW_LISTENER, and _WAIT_KILLABLE_RECV (5.19): once the host has seen a call, only
# a fatal signal takes it back, so that Go's preemption signals cannot make a call be reported twice.
_NEW_LISTENER, _WAIT_KILLABLE = 8, 32


@dataclass(frozen=True, slots=True)
class Program:
    """What is executed in the end, or with `python` (launcher/python.py) run. `directory`: its working directory."""

    path: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str
    python: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What one plugin may do, how seriously, and with how much memory."""

    permissions: Permissions
    level: Level = "strict"
    memory_bytes: int = DEFAULT_MEMORY_BYTES


def plan(start: Program, policy: Policy, places: Places, kernel: Kernel, *, host_pid: int, pid: int) -> dict[str, Any]:
    """The launcher's orders. `pid`: its own, which a plugin without children may signal. Nothing is changed here."""
    sandboxed = policy.level != "off"
    files = file_rules(policy.permissions, places)
    return {
        "strict": policy.level == "strict",
        "sandboxed": sandboxed,
        "host_pid": host_pid,
        "guard": policy.permissions.system or not sandboxed,
        "limits": _limits(policy, places) if sandboxed else [],
        "root": _root(policy, places, files, kernel) if sandboxed else None,
        "landlock": _landlock(policy, files, kernel) if sandboxed else None,
        "filters": _filters(policy, kernel, pid, executes=start.python is None) if sandboxed else [],
        "program": start.path,
        "arguments": list(start.arguments),
        "environment": dict(start.environment),
        "directory": start.directory,
        "python": dict(start.python) if start.python else None,
    }


def _limits(policy: Policy, places: Places) -> list[tuple[int, int]]:
    has_state = places.state_dir is not None
    rows = limits(filesystem=policy.permissions.filesystem, has_state=has_state, memory_bytes=policy.memory_bytes)
    return [(row.resource, row.value) for row in rows]


def _landlock(policy: Policy, files: list[FileRule], kernel: Kernel) -> tuple[bytes, list[tuple[str, int, int]]] | None:
    if not kernel.landlock_abi:
        return None
    return ruleset(kernel.landlock_abi, files, network=policy.permissions.network)


def _root(policy: Policy, places: Places, files: list[FileRule], kernel: Kernel) -> dict[str, Any] | None:
    """The mounts of the private root: the readable paths, then the writable ones, each at its own name."""
    if not needs_private_root(policy.permissions, kernel):
        return None
    return {
        "at": str(places.root_dir),
        "links": links(policy.permissions, places),
        "read_only": [rule.path for rule in files if rule.access not in WRITING],
        "writable": [rule.path for rule in files if rule.access in WRITING],
    }


def _filters(policy: Policy, kernel: Kernel, pid: int, *, executes: bool) -> list[tuple[int, bytes]]:
    """(flags, program), best first: an older kernel, or one whose listener is taken, refuses the first ones."""
    if not kernel.has_seccomp:
        return []
    call_rules = rules(policy.permissions, kernel, pid=pid, executes=executes)
    silent = program(call_rules, kernel.architecture, notify=False)
    if not kernel.has_notifier:
        return [(0, silent)]
    heard = program(call_rules, kernel.architecture, notify=True)
    return [(_NEW_LISTENER | _WAIT_KILLABLE, heard), (_NEW_LISTENER, heard), (0, silent)]
