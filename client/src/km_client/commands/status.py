"""What is recorded, shipped and waiting on this machine, and who it belongs to.

Nothing here changes anything. `km-client doctor` names what to fix.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from km_protocol.api_keys import display

from km_client import account, config, credentials, output, overview
from km_client.account import Account
from km_client.agent.choices import NO_KEY
from km_client.agent.health import Health
from km_client.agent.state import SessionState
from km_client.config import Config
from km_client.credentials import Credentials
from km_client.errors import ClientError
from km_client.overview import Overview, Told
from km_client.pinning import survey
from km_client.plugins import words
from km_client.wrapping import coverage
from km_client.wrapping.wrapper import Result


class Findings(NamedTuple):
    """`problem` is why `account` is `None`."""

    settings: Config
    key: Credentials | None
    account: Account | None
    problem: str
    machine: Overview
    clients: list[Result]


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    parser.add_argument("--offline", action="store_true", help="do not ask the server")


def run(args: Namespace) -> int:
    found = _find(offline=args.offline)
    if args.json:
        output.say_json(_answer(found))
    else:
        _show(found)
    return 0


def _find(*, offline: bool) -> Findings:
    settings = config.load()
    machine, clients = overview.look(), coverage.survey(_here())
    try:
        key = credentials.load()
    except ClientError as error:
        return Findings(settings, None, None, error.message, machine, clients)
    if key is None or offline:
        return Findings(settings, key, None, "" if key else NO_KEY, machine, clients)
    try:
        return Findings(settings, key, account.ask(settings.api_url, key.api_key), "", machine, clients)
    except ClientError as error:
        return Findings(settings, key, None, error.message, machine, clients)


def _here() -> Path | None:
    """The directory this is run in, which may have been deleted under it."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


def _show(found: Findings) -> None:
    machine, totals = found.machine, found.machine.totals
    redacted = sum(totals.redacted.values())
    known = f" ({totals.duplicates:,} of them known already)" if totals.duplicates else ""
    rows = [
        ("account", _account_words(found)),
        ("server", f"{found.settings.api_url} (from {found.settings.source('api_url')})"),
        ("key", f"`{display(found.key.api_key)}…` (from {found.key.source})" if found.key else "none"),
        ("agent", _agent_words(machine)),
        ("shipped", output.many(totals.shipped, "event") + known),
        (
            "waiting",
            f"{output.many(machine.waiting_events, 'event')}, {output.size(machine.waiting_bytes)} of journals",
        ),
        ("refused", output.many(machine.refused_kept, "event")),
        ("redacted", output.many(redacted, "secret")),
        ("lost", _lost_words(machine)),
        ("covered", coverage.words(found.clients)),
        ("tools", survey.words()),
    ]
    rows += [("delivery", _delivery_words(health)) for health in machine.deliveries]
    output.pairs(rows + _told_rows(machine.told, datetime.now(UTC)))
    if machine.sessions:
        output.say()
        output.table(
            ("session", "server", "state", "events", "waiting", "note"), (_row(session) for session in machine.sessions)
        )
    if rows_of_clients := coverage.rows(found.clients):
        output.say()
        output.table(("client", "server", "coverage", "note"), rows_of_clients)


def _account_words(found: Findings) -> str:
    if found.account is None:
        return found.problem or "not asked"
    who, quota = found.account, found.account.quota
    limit = f" of {quota.limit:,}" if quota and quota.limit else ""
    used = f", {output.many(quota.used, 'event', limit)} used today" if quota else ""
    return f"{who.customer_id}, tier {who.tier} ({who.status}){used}"


def _agent_words(machine: Overview) -> str:
    if machine.agent_pid is None:
        return "not running; it starts with the next `km-client monitor`, or with `km-client agent start`"
    problem = f", but does nothing: {machine.agent_problem}" if machine.agent_problem else ""
    return f"running (process {machine.agent_pid}){problem}"


def _lost_words(machine: Overview) -> str:
    now = [
        f"{output.many(records, 'piece')} to {reason.replace('_', ' ')}"
        for reason, (records, _) in machine.lost.items()
    ]
    before = machine.totals.lost_records
    return "; ".join(now + ([f"{output.many(before, 'piece')} in sessions before"] if before else [])) or "nothing"


def _delivery_words(health: Health) -> str:
    words = f"to {health.url} with `{health.key}…`: {health.state}"
    if health.reason:
        words += f", {health.reason}"
    return words + (f"; next try at {health.retry_at.astimezone():%H:%M:%S}" if health.retry_at else "")


def _told_rows(told: Told, now: datetime) -> list[tuple[str, str]]:
    """What each account may use, and how each plugin stands; nothing where there is none."""
    several = len(told.accounts) > 1
    leases = [
        ("lease", (f"`{output.printable(account.key)}…`: " if several else "") + words.lease(account, now=now))
        for account in told.accounts
    ]
    return leases + [("plugin", words.line(plugin, now=now)) for plugin in told.plugins]


def _row(session: SessionState) -> tuple[str, ...]:
    state = "live" if session.is_live else "over"
    where = "local only" if session.is_local_only else session.problem
    if session.given_up:
        were = "was" if session.given_up == 1 else "were"
        where += f"{'; ' if where else ''}{output.many(session.given_up, 'call')} without an answer {were} given up"
    size = output.size(session.waiting_bytes)
    return session.session_id, session.server, state, f"{session.events:,}", size, where


def _answer(found: Findings) -> dict[str, Any]:
    machine, error = found.machine, found.machine.last_error
    return {
        "account": found.account._asdict() if found.account else None,
        "problem": found.problem or None,
        "api_url": found.settings.api_url,
        "api_url_source": found.settings.source("api_url"),
        "key": display(found.key.api_key) if found.key else None,
        "key_source": found.key.source if found.key else None,
        "agent": {
            "running": machine.agent_pid is not None,
            "pid": machine.agent_pid,
            "problem": machine.agent_problem or None,
        },
        "plugins": msgspec.to_builtins(machine.told.plugins),
        "leases": msgspec.to_builtins(machine.told.accounts),
        "clients": [coverage.answer(result) for result in found.clients],
        "tools": survey.counts(),
        "sessions": msgspec.to_builtins(machine.sessions),
        "deliveries": msgspec.to_builtins(machine.deliveries),
        "totals": msgspec.to_builtins(machine.totals),
        "waiting": {"events": machine.waiting_events, "bytes": machine.waiting_bytes},
        "refused": machine.refused_kept,
        "lost": machine.lost,
        "last_error": error.reason if error else None,
    }
