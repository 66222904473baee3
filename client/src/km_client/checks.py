"""What can be wrong with the set-up of this machine, one function a check: what was found, and how to put it right.

Checks change nothing but loose permissions of the credentials, which are repaired whenever they are read.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from km_protocol.api_keys import display
from km_protocol.claims import CLOCK_SKEW_SECONDS

from km_client import account, config, credentials, output, overview, paths, plugin_checks
from km_client.account import Account
from km_client.agent.choices import NO_KEY
from km_client.check import Check
from km_client.config import Config
from km_client.credentials import Credentials
from km_client.errors import ClientError
from km_client.overview import Overview
from km_client.pinning import survey
from km_client.plugins.sandbox.kernel import probe
from km_client.registry import listing
from km_client.wrapping import coverage

LOW_DISK_BYTES = 100 * 1024 * 1024  # a dozen segments: a busy session fills that within minutes


def all_checks() -> list[Check]:
    """Every check, in the order in which to put things right."""
    return list(_all())


def _all() -> Iterator[Check]:
    settings, check = _settings()
    yield check
    yield from _permissions()
    key, check = _credentials()
    yield check
    if settings and key:
        yield _transport(settings)
        yield from _server(settings, key)
    try:
        machine = overview.look()
        yield _agent(machine)
        yield from _deliveries(machine)
        yield _journals(machine)
        yield _losses(machine)
        yield _refused(machine)
        yield _disk(paths.data_dir())
        if settings:
            is_root = sys.platform != "win32" and os.geteuid() == 0  # whom no such setting keeps from anything
            refused_by = "" if is_root else plugin_checks.namespaces_refused_by()
            yield plugin_checks.sandbox(settings.sandbox, settings.source("sandbox"), probe(), refused_by)
        yield from plugin_checks.leases(machine.told)
        yield from plugin_checks.plugins(machine.told, now=datetime.now(UTC))
        yield from listing.checks(datetime.now(UTC))
        yield coverage.check()
        yield survey.check(holds=bool(settings and settings.holds_tools))
    except (OSError, ClientError) as error:
        yield Check("data", "problem", f"{paths.data_dir()} cannot be used: {error}", "see that it is your directory")


def _settings() -> tuple[Config | None, Check]:
    try:
        settings = config.load()
    except ClientError as error:
        return None, _from_error("config", error)
    path = paths.config_file()
    return settings, Check("config", "ok", str(path) if path.exists() else "defaults; there is no file")


def _permissions() -> Iterator[Check]:
    path = paths.credentials_file()
    mode = credentials.loose_mode(path)
    if mode is not None:
        words = f"{path} could be read by others (mode {mode:04o}) until now"
        yield Check(
            "permissions", "problem", words, "if others use this machine, rotate the key and run `km-client init`"
        )


def _credentials() -> tuple[Credentials | None, Check]:
    try:
        key = credentials.load()
    except ClientError as error:
        return None, _from_error("key", error)
    if key is None:
        return None, Check("key", "problem", NO_KEY.partition(":")[0], "run `km-client login`")
    return key, Check("key", "ok", f"`{display(key.api_key)}…` from {key.source}")


def _transport(settings: Config) -> Check:
    parts = urlsplit(settings.api_url)
    is_near = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if parts.scheme == "https" or is_near:
        return Check("address", "ok", f"{settings.api_url} from {settings.source('api_url')}")
    words = f"{settings.api_url} is not encrypted: the key and all messages can be read on the way"
    return Check("address", "problem", words, f"run `km-client config set api_url https://{parts.netloc}`")


def _server(settings: Config, key: Credentials) -> Iterator[Check]:
    try:
        found = account.ask(settings.api_url, key.api_key)
    except ClientError as error:
        yield _from_error("server", error)
        return
    yield Check("server", "ok", f"customer {found.customer_id}, tier {found.tier} ({found.status})")
    yield _clock(found)
    if found.quota and found.quota.limit and found.quota.used >= found.quota.limit:
        words = f"all {found.quota.limit:,} events of today are used up"
        yield Check("quota", "problem", words, "wait until tomorrow: recordings are kept; or change the tier")


def _clock(found: Account) -> Check:
    ahead = found.clock_ahead_seconds
    if ahead is None:
        return Check("clock", "note", "the server did not tell its time")
    if abs(ahead) <= CLOCK_SKEW_SECONDS:
        return Check("clock", "ok", "agrees with the server's")
    direction = "behind" if ahead > 0 else "ahead of"
    words = f"this machine's clock is {abs(ahead):.0f} seconds {direction} the server's"
    return Check("clock", "problem", words, "turn on automatic time, such as `timedatectl set-ntp true`")


def _agent(machine: Overview) -> Check:
    if machine.agent_problem:
        return Check("agent", "problem", f"does nothing: {machine.agent_problem}", "correct `config.toml`")
    if machine.agent_pid is not None:
        return Check("agent", "ok", f"process {machine.agent_pid}")
    if any(session.is_live for session in machine.sessions):
        return Check("agent", "problem", "not running, though a session is live", "run `km-client agent start`")
    if machine.waiting_bytes:
        return Check("agent", "problem", "not running, though recordings wait", "run `km-client agent start`")
    return Check("agent", "ok", "not running; it starts with the next session")


def _deliveries(machine: Overview) -> Iterator[Check]:
    for health in machine.deliveries:
        if health.reason:
            words = f"to {health.url} with `{health.key}…`: {health.reason}"
            fix = "run `km-client init` with a key that works" if health.state == "paused" else "it is tried again"
            yield Check("delivery", "problem", words, fix)


def _journals(machine: Overview) -> Check:
    reasons = {session.problem for session in machine.sessions if session.problem}
    if reasons:
        return Check("journals", "problem", "; ".join(sorted(reasons)), "put that right; nothing is deleted meanwhile")
    return Check("journals", "ok", f"{len(machine.sessions)} sessions, {output.size(machine.waiting_bytes)} to ship")


def _losses(machine: Overview) -> Check:
    lost = machine.lost
    if not lost:
        return Check("recording", "ok", "nothing is lost in the sessions that are here")
    words = ", ".join(
        f"{records:,} pieces ({output.size(size)}) to {reason.replace('_', ' ')}"
        for reason, (records, size) in lost.items()
    )
    return Check("recording", "problem", f"not recorded: {words}", "make room on the disk, and see that it is writable")


def _refused(machine: Overview) -> Check:
    if not machine.refused_kept:
        return Check("refused", "ok", "the server has refused no event")
    words = f"{machine.refused_kept:,} events were refused for good; each is kept with the reason"
    return Check("refused", "problem", words, f"look at {paths.refused_dir()}, and delete what you do not need")


def _disk(directory: Path) -> Check:
    """Free space where recordings go, or would go."""
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < LOW_DISK_BYTES:
        words = f"only {output.size(free)} free on the disk of {existing}"
        return Check("disk", "problem", words, "make room: on a full disk nothing can be recorded")
    return Check("disk", "ok", f"{output.size(free)} free")


def _from_error(name: str, error: ClientError) -> Check:
    return Check(name, "problem", error.message, error.hint)
