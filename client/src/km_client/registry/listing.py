"""What is installed from the registry, and how it stands, as `plugins list` and `doctor` show it.

Installed from the registry:
plugin      version  state                    until
slow-tools  1.2.0    update available: 1.3.0  2026-12-22
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from km_client import output
from km_client.check import Check
from km_client.output import printable
from km_client.registry import accounts, activation, builds, quarantine, standing
from km_client.registry.builds import Build
from km_client.registry.place import Place
from km_client.registry.standing import Standing, Standings

_REFRESH = "run `km-client plugins refresh`"


def answer() -> dict[str, Any]:
    """For `plugins list --json`: members beside those of the agent's report."""
    place = accounts.place()
    if place is None:
        return {"installed": [], "quarantined": []}
    standings = standing.load(place)
    rows = [
        msgspec.to_builtins(build)
        | {"standing": msgspec.to_builtins(_of(build, standings)), "is_whole": builds.is_whole(at, build)}
        for at, build in activation.installed(place)
    ]
    return {
        "installed": rows,
        "quarantined": [msgspec.to_builtins(one) for one in quarantine.listed(place)],
        "registry_checked_at": standings.checked_at.isoformat() if standings.checked_at else None,
        "registry_problem": standings.problem,
    }


def show(now: datetime) -> bool:
    """Whether there was anything to show."""
    place = accounts.place()
    if place is None:
        return False
    standings, found = standing.load(place), list(activation.installed(place))
    kept = quarantine.listed(place)
    if found:
        output.say("Installed from the registry:")
        rows = ((build.name, build.version, state(at, build, standings, now), _day(build)) for at, build in found)
        output.table(("plugin", "version", "state", "until"), rows)
    for one in kept:
        output.wrapped(f"In quarantine: {one.name} {one.version}: {printable(one.message)}", indent=2)
    if standings.problem:
        output.wrapped(f"The last refresh failed: {printable(standings.problem)}", indent=2)
    return bool(found or kept)


def directory_of(name: str) -> Path | None:
    """Where the active build of `name` lies; `None` where none is installed."""
    place = accounts.place()
    found = activation.installed(place) if place else ()
    return next((at / builds.PLUGIN for at, build in found if build.name == name), None)


def is_in_use() -> bool:
    """Whether this machine was told of a registry."""
    return accounts.place() is not None


def checks(now: datetime) -> Iterator[Check]:
    """For `doctor`."""
    place = accounts.place()
    if place is None:
        return
    standings = standing.load(place)
    if standings.problem:
        yield Check("registry", "problem", printable(f"the last refresh failed: {standings.problem}"), _REFRESH)
    yield from _quarantined(place)
    wrong = False
    for at, build in activation.installed(place):
        refusal = standings.refusal(build)
        if refusal:
            wrong = True
            yield Check("registry", "problem", printable(str(refusal)), printable(refusal.hint))
        elif not builds.is_whole(at, build):
            wrong = True
            words = printable(f"{build.name} {build.version} is not what was installed: its files in {at} were changed")
            yield Check("registry", "problem", words, f"{_REFRESH}, which fetches it again")
        elif now >= build.expires_at:
            wrong = True
            yield Check("registry", "problem", f"{build.name} {build.version} has expired", _REFRESH)
        elif warning := _of(build, standings).warning:
            words = f"{build.name} {build.version} goes on, but the registry advises against it: {warning}"
            fix = f"wait for another version, or `km-client plugins remove {build.name}`"
            yield Check("registry", "note", printable(words), fix)
    if not wrong and not standings.problem:
        count = len(list(activation.installed(place)))
        yield Check("registry", "ok", f"{count} plugin{'s' if count != 1 else ''} installed, as the registry has them")


def state(directory: Path, build: Build, standings: Standings, now: datetime) -> str:
    """A few words: `installed`, `update available: 1.3.0`, `blocked: why`, `changed here: …`."""
    if not builds.is_whole(directory, build):
        return f"changed here: {_REFRESH}"
    return "expired" if now >= build.expires_at else words_of(_of(build, standings))


def words_of(found: Standing) -> str:
    """The same of what is known about it."""
    words = found.state.replace("_", " ")
    if found.state == "ok":
        words = f"update available: {found.available}" if found.available else "installed"
    if found.warning:
        return printable(f"{words}; the registry advises against it: {found.warning}")
    return printable(f"{words}: {found.reason}" if found.reason else words)


def _quarantined(place: Place) -> Iterator[Check]:
    for one in quarantine.listed(place):
        words = f"{one.name} {one.version} was not installed: {one.message} (kept in {place.quarantine})"
        yield Check("registry", "problem", printable(words), _REFRESH)


def _of(build: Build, standings: Standings) -> Standing:
    return standings.plugins.get(build.name) or Standing("not_entitled")


def _day(build: Build) -> str:
    return f"{build.expires_at:%Y-%m-%d}"
