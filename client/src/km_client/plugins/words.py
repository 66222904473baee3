"""A plugin's report, and its account's, in words: for `plugins list`, `status` and `doctor`.

    tool-stats 1.0.0   running   12,345 handled
        30 events did not reach it: 30 while its queue was full
        fix: see `km-client plugins logs tool-stats` for what keeps it

Texts that come from a plugin, or from what it tried, are escaped here: nothing in them reaches a terminal as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from km_client import output
from km_client.output import printable
from km_client.plugins.report import BARRED, ENDED, NOT_ENTITLED, UNAVAILABLE, AccountReport, PluginReport

Severity = Literal["problem", "note"]

_STATES = {
    "new": "starting",
    "backing_off": "crashed",
    "disabled": "given up",
    NOT_ENTITLED: "not entitled",
    UNAVAILABLE: "unavailable",
    ENDED: "not running",
}
_DOES_NOT_RUN = frozenset({"refused", "disabled", *BARRED, NOT_ENTITLED, UNAVAILABLE})
_DROPS = {
    "queue_full": "while its queue was full",
    "too_large": "larger than a plugin can be given",
    "deadline": "not handled in time",
    "crash": "lost in a crash",
    "not_running": "while it was not running",
}
_LEASES = {
    "expired": ("the lease has expired: only the Free tier's features hold", "see that the server can be reached"),
    "suspended": ("the subscription is suspended", "settle it in the dashboard"),
    "revoked": ("the subscription was canceled", "renew it in the dashboard"),
    "not_yet_valid": ("the lease begins in the future: this machine's clock is behind", "turn on automatic time"),
    "clock_set_back": ("this machine's clock was set back, so the lease does not hold", "turn on automatic time"),
    "wrong_machine": ("the lease is another machine's", "run `km-client init` on this one"),
}
_SEE_SERVER = "see that the server can be reached and takes the key: `km-client status`"


class Note(NamedTuple):
    """One thing a person should know about a plugin or an account, and what to do about it."""

    severity: Severity
    words: str
    fix: str = ""
    kind: str = ""  # `sandbox`: what `plugins inspect` shows in full


def title(plugin: PluginReport) -> str:
    """`tool-stats 1.0.0`; by its key where that tells more."""
    return printable(f"{plugin.key} {plugin.version}".rstrip())


def state(plugin: PluginReport) -> str:
    """Two words at most."""
    return printable(_STATES.get(plugin.state, plugin.state.replace("_", " ")))


def dropped(plugin: PluginReport) -> int:
    return sum(plugin.dropped.values())


def notes(plugin: PluginReport, *, now: datetime) -> list[Note]:
    """What keeps it from running first."""
    return list(_notes(plugin, now))


def _notes(plugin: PluginReport, now: datetime) -> Iterator[Note]:
    if plugin.missing_features:
        is_now = plugin.state == NOT_ENTITLED
        fix = "change the tier in the dashboard: the plugin then starts by itself"
        yield Note("problem" if is_now else "note", ("" if is_now else "earlier: ") + needs(plugin), fix)
    if plugin.trouble:
        yield _trouble(plugin, now)
    if plugin.withheld_features and plugin.state == "running":
        words = f"runs without {_named(plugin.withheld_features)}, which {_tier(plugin)} does not have"
        yield Note("note", words, "change the tier in the dashboard: the plugin is told by itself")
    yield from _losses(plugin)
    yield from _sandbox(plugin)


def line(plugin: PluginReport, *, now: datetime) -> str:
    """One line: what, how it stands, what it did, and the first thing that is wrong, if any is."""
    wrong = [note for note in notes(plugin, now=now) if note.severity == "problem"]
    first = f"; {wrong[0].words}" if wrong else ""
    did = f", {events(plugin.handled)} handled" if plugin.handled else ""
    return f"{title(plugin)}: {state(plugin)}{did}{first}"


def show_notes(plugin: PluginReport, found: Sequence[Note]) -> None:
    """Each with its fix below it, after an empty line."""
    if found:
        output.say()
    for note in found:
        output.wrapped(f"{printable(plugin.key)}: {note.words}", indent=2)
        if note.fix:
            output.wrapped(f"  fix: {note.fix}", indent=7)


def needs(plugin: PluginReport) -> str:
    """Which features it lacks."""
    return f"needs {_named(plugin.missing_features)}, which {_tier(plugin)} does not have"


def _named(features: Sequence[str]) -> str:
    return " and ".join(f"`{printable(name)}`" for name in features)


def _tier(plugin: PluginReport) -> str:
    return f"tier {printable(plugin.tier) or 'Free'}"


def _trouble(plugin: PluginReport, now: datetime) -> Note:
    assert plugin.trouble
    words, fix = printable(plugin.trouble.message), printable(plugin.trouble.hint)
    if plugin.state == "backing_off":
        words += f"; starts again {soon(plugin.retry_at, now)}"
    elif plugin.state == "disabled":
        words += f"; not started again after {plugin.crashes} crashes"
    elif plugin.state not in _DOES_NOT_RUN:
        words = f"earlier: {words}"
    severity: Severity = "problem" if plugin.state in _DOES_NOT_RUN | {"backing_off"} else "note"
    return Note(severity, words, fix or _see_log(plugin))


def _losses(plugin: PluginReport) -> Iterator[Note]:
    reasons = {
        reason: count
        for reason, count in plugin.dropped.items()
        if count and (reason != "not_running" or plugin.state not in _DOES_NOT_RUN)
    }
    if reasons:
        parts = (f"{count:,} {_DROPS.get(reason, printable(reason))}" for reason, count in reasons.items())
        is_over = plugin.state == ENDED
        words = f"{events(sum(reasons.values()))} did not reach it: {', '.join(parts)}"
        yield Note("note" if is_over else "problem", words, _see_log(plugin))
    if plugin.failed:
        yield Note("note", f"{events(plugin.failed)} failed in the plugin", _see_log(plugin))


def _sandbox(plugin: PluginReport) -> Iterator[Note]:
    see = f"see `km-client plugins inspect {printable(plugin.key)}`"
    if plugin.not_enforced and plugin.state == "running":
        lacking = "is off" if plugin.level == "off" else f"lacks {len(plugin.not_enforced)} of its promises"
        yield Note("note", f"its sandbox {lacking} on this machine", see, "sandbox")
    if tries := sum(row.count for row in plugin.attempted) + plugin.attempted_unlisted:
        words = f"was refused {tries:,} time{'s' if tries != 1 else ''} what its manifest does not ask for"
        yield Note("note", words, see, "sandbox")


def _see_log(plugin: PluginReport) -> str:
    return f"see `km-client plugins logs {printable(plugin.key)}`" if plugin.log else ""


def events(count: int) -> str:
    return f"{count:,} event{'s' if count != 1 else ''}"


def lease(account: AccountReport, *, now: datetime) -> str:
    """One line: tier, what the lease says, how fresh it is."""
    parts = [f"tier {printable(account.tier) or 'Free'}"]
    if account.status:
        parts[0] += f" ({printable(account.status)})"
    found = lease_note(account)
    if found:
        parts.append(found.words)
    elif account.lease_state:
        parts.append(f"lease {account.lease_state.replace('_', ' ')}")
    if account.refreshed_at:
        parts.append(f"refreshed {ago(account.refreshed_at, now)}")
    return "; ".join(parts)


def lease_note(account: AccountReport) -> Note | None:
    """What is wrong between this machine and the account's server, if anything is."""
    problem = printable(account.problem)
    if account.lease_state in _LEASES:
        words, fix = _LEASES[account.lease_state]
        return Note("problem", f"{words} ({problem})" if problem else words, fix)
    if not problem:
        return None
    if not (account.offline_until and account.lease_state):
        return Note("problem", f"no lease: only the Free tier's features hold ({problem})", _SEE_SERVER)
    hold = f"features hold until {moment(account.offline_until)}"
    words = f"offline: {hold} ({problem})" if "cannot reach" in problem else f"{problem}; {hold}"
    return Note("problem", words, _SEE_SERVER)


def moment(when: datetime) -> str:
    """Local time, with its day: leases and troubles are often of another one."""
    try:
        return f"{when.astimezone():%Y-%m-%d %H:%M}"
    except OverflowError:  # the last day there is, which no other time zone may have
        return f"{when:%Y-%m-%d}"


def ago(when: datetime, now: datetime) -> str:
    seconds = (now - when).total_seconds()
    if seconds < 60:
        return "just now"
    return f"{seconds / 60:.0f} min ago" if seconds < 3600 else f"at {moment(when)}"


def soon(when: datetime | None, now: datetime) -> str:
    seconds = (when - now).total_seconds() if when else 0
    return f"in {seconds:.0f} s" if seconds >= 1 else "at once"
