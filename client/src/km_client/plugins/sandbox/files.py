"""Permissions to paths: what a plugin may open, and how.

    >>> file_rules(Permissions(), places)
    [FileRule('/plugins/tool-stats', 'run'), FileRule('/…/state/tool-stats', 'write'), …]

The same list makes the Landlock ruleset, the private root's mounts and the notifier's judgement, so they cannot differ.
What a kind of program needs to start is a table: a static Go binary needs nothing, a dynamic one its loader and
libraries, Python its standard library.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from km_protocol.kmpkg.manifest import Permissions

Access = Literal["read", "run", "write", "socket", "device", "all"]
WRITING: frozenset[Access] = frozenset({"write", "socket", "device", "all"})


@dataclass(frozen=True, slots=True)
class FileRule:
    """Everything beneath `path` (or the one file `path`) may be used as `access` says. `path` holds no symlink."""

    path: str
    access: Access


@dataclass(frozen=True, slots=True)
class Places:
    """Where one plugin lives. `state_dir` None: it may write nowhere at all."""

    own: Sequence[Path]  # its directory, or its binary and the manifest beside it
    socket_dir: Path
    root_dir: Path  # empty, and not within any of the others: where a private root is mounted
    state_dir: Path | None = None
    runs: Sequence[Path] = ()  # programs and libraries of its runtime: read and executed
    reads: Sequence[Path] = ()  # further files of its runtime: read


# Read-only, without secrets, and looked for by every C library or language runtime.
ALWAYS: tuple[tuple[str, Access], ...] = (
    ("/dev/null", "device"),
    ("/dev/urandom", "read"),
    ("/etc/localtime", "read"),
    ("/usr/share/zoneinfo", "read"),
)
# Name resolution and certificates (nsswitch.conf(5), resolv.conf(5), the roots OpenSSL and Go look for).
FOR_NETWORK: tuple[tuple[str, Access], ...] = (
    ("/etc/resolv.conf", "read"),
    ("/etc/hosts", "read"),
    ("/etc/host.conf", "read"),
    ("/etc/nsswitch.conf", "read"),
    ("/etc/gai.conf", "read"),
    ("/etc/services", "read"),
    ("/etc/protocols", "read"),
    ("/etc/ssl", "read"),
    ("/etc/pki/tls", "read"),
    ("/etc/ca-certificates", "read"),
    ("/usr/share/ca-certificates", "read"),
    ("/usr/local/share/ca-certificates", "read"),
)
# Other programs, for `system: true`. They run in the same sandbox.
FOR_SYSTEM: tuple[tuple[str, Access], ...] = (
    ("/bin", "run"),
    ("/sbin", "run"),
    ("/lib", "run"),
    ("/lib64", "run"),
    ("/usr", "run"),
    ("/etc/ld.so.cache", "read"),
    ("/etc/alternatives", "read"),
)
FOR_FILESYSTEM: tuple[tuple[str, Access], ...] = (("/", "all"),)
# The dynamic loader's libraries (ld.so(8)). The loader itself is executed by the kernel.
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")
LOADER_CACHE = "/etc/ld.so.cache"
# Looked for by Go's and Python's start and done without: refused like anything else, not worth a line in the log.
# Under /proc/self that is their cgroup and mounts (how many processors they may use).
UNREMARKABLE = (
    "/sys/kernel/mm/transparent_hugepage/",
    "/sys/fs/cgroup/",
    "/proc/self/",
    "/proc/meminfo",
    "/proc/cpuinfo",
    "/sys/devices/system/cpu/",
    "/proc/sys/net/core/somaxconn",
    "/usr/lib/ssl/openssl.cnf",
    "/etc/ssl/openssl.cnf",
    "/usr/share/locale",
    "/usr/lib/locale",
    "/etc/locale.alias",
)


def file_rules(permissions: Permissions, places: Places) -> list[FileRule]:
    """Every rule, most specific tables first. Paths that do not exist here are left out: there is nothing to grant."""
    return list(_existing(_wanted(permissions, places)))


def _wanted(permissions: Permissions, places: Places) -> list[tuple[Path | str, Access]]:
    wanted: list[tuple[Path | str, Access]] = [(path, "run") for path in places.own]
    wanted.append((places.socket_dir, "socket"))
    if places.state_dir is not None:
        wanted.append((places.state_dir, "write"))
    wanted += [(path, "run") for path in places.runs]
    wanted += [(path, "read") for path in places.reads]
    wanted += ALWAYS
    wanted += FOR_NETWORK if permissions.network else ()
    wanted += FOR_SYSTEM if permissions.system else ()
    wanted += FOR_FILESYSTEM if permissions.filesystem else ()
    return wanted


def links(permissions: Permissions, places: Places) -> list[tuple[str, str]]:
    """The symlinks that lead to those paths (`/lib64` to `usr/lib64`, a venv's `python`), as (link, target)."""
    found: dict[str, str] = {}
    for path, _ in _wanted(permissions, places):
        _follow(os.path.abspath(path), found)  # noqa: PTH100 - `Path.absolute` keeps `..`
    return sorted(found.items())


def _follow(path: str, found: dict[str, str]) -> None:
    """Add every symlink met on the way from the root to `path`, and on the way of each of their targets."""
    at = ""
    for part in path.strip("/").split("/"):
        at = f"{at}/{part}"
        if at not in found and os.path.islink(at):  # noqa: PTH114
            found[at] = os.readlink(at)  # noqa: PTH115
            _follow(os.path.normpath(os.path.join(os.path.dirname(at), found[at])), found)  # noqa: PTH118, PTH120
        at = os.path.realpath(at) if at in found else at


def _existing(wanted: Iterable[tuple[Path | str, Access]]) -> Iterable[FileRule]:
    seen: set[FileRule] = set()
    for path, access in wanted:
        real = os.path.realpath(path)
        rule = FileRule(real, access)
        if rule not in seen and os.path.exists(real):  # noqa: PTH110 - a name from a table, not yet a path of ours
            seen.add(rule)
            yield rule


def allows(rules: Sequence[FileRule], path: str, *, writing: bool) -> bool:
    """Whether a rule covers `path`, which must hold no symlink."""
    return any(
        (rule.access in WRITING or not writing) and (path == rule.path or path.startswith(rule.path.rstrip("/") + "/"))
        for rule in rules
    )
