"""What `plugins inspect` shows of a plugin: declared by its manifest, enforced on this machine, attempted by its code.

declared   network: no, filesystem: no, system: no
enforced   opens only its own files and its runtime's …      Landlock
attempted  connect 203.0.113.7:443      reaching another program      3 times
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from km_protocol.kmpkg.manifest import Manifest, Permissions
from km_protocol.kmpkg.versions import Version

from km_client import __version__, output
from km_client.output import printable
from km_client.plugins import words
from km_client.plugins.discovery import ORIGIN_WORDS
from km_client.plugins.report import NOT_ENTITLED, UNAVAILABLE, PluginReport
from km_client.plugins.sandbox.guarantees import needs_private_root
from km_client.plugins.sandbox.kernel import Kernel
from km_client.plugins.subject import ON_DISK, Subject

PERMISSIONS = ("network", "filesystem", "system")
_NEVER_STARTED = frozenset({ON_DISK, NOT_ENTITLED, UNAVAILABLE, "refused", "new"})
_HEADINGS = ("enforced", "NOT enforced"), ("would be enforced", "would NOT be enforced")
BEST_EFFORT = "`km-client config set sandbox best-effort` starts it with what this machine can enforce"


def declared(plugin: PluginReport) -> dict[str, bool]:
    return {name: getattr(plugin, name) for name in PERMISSIONS}


def is_compatible(manifest: Manifest) -> bool:
    """Whether it says that it works with this km-client."""
    return manifest.compatibility.kilometers_cli.contains(Version.parse(__version__))


def answer(subject: Subject, *, now: datetime) -> dict[str, Any]:
    """For a script."""
    plugin, manifest = subject
    trouble = plugin.trouble
    return {
        "key": plugin.key,
        "name": plugin.name,
        "version": plugin.version,
        "path": plugin.path,
        "origin": plugin.origin,
        "state": plugin.state,
        "pid": plugin.pid,
        "trouble": asdict(trouble) if trouble else None,
        "notes": [note._asdict() for note in words.notes(plugin, now=now)],
        "manifest": _summary(manifest) if manifest else None,
        "declared": declared(plugin),
        "sandbox": plugin.level,
        "enforced": [asdict(row) for row in plugin.enforced],
        "not_enforced": [asdict(row) for row in plugin.not_enforced],
        "attempted": [asdict(row) for row in plugin.attempted],
        "attempted_unlisted": plugin.attempted_unlisted,
    }


def _summary(manifest: Manifest) -> dict[str, Any]:
    return {
        "description": manifest.description,
        "author": manifest.author,
        "license": manifest.license,
        "runtime": manifest.runtime,
        "entry": manifest.entry,
        "kilometers_cli": str(manifest.compatibility.kilometers_cli),
        "compatible": is_compatible(manifest),
        "features": asdict(manifest.features),
        "asks_for_api_key": manifest.permissions.api_key,
    }


def show(subject: Subject, kernel: Kernel, *, now: datetime) -> None:
    """For a person."""
    plugin = subject.plugin
    output.pairs(_head(subject))
    words.show_notes(plugin, [note for note in words.notes(plugin, now=now) if note.kind != "sandbox"])
    if not subject.is_readable:
        return
    _show_enforced(plugin, kernel)
    _show_attempted(plugin, kernel)


def _head(subject: Subject) -> Iterable[tuple[str, str]]:
    plugin, manifest = subject
    process = f" (process {plugin.pid})" if plugin.pid else ""
    yield "plugin", words.title(plugin)
    yield "state", "not running: this is what lies there" if plugin.state == ON_DISK else words.state(plugin) + process
    yield "path", printable(plugin.path) + (f" ({ORIGIN_WORDS['package']})" if plugin.origin == "package" else "")
    if manifest:
        fits = "this is" if is_compatible(manifest) else "NOT this one,"
        yield "what", printable(manifest.description)
        yield "by", printable(f"{manifest.author}; {manifest.license}; {manifest.runtime}")
        yield "works with", f"km-client {manifest.compatibility.kilometers_cli} ({fits} {__version__})"
    if plugin.version:
        yield "declared", ", ".join(f"{name}: {yes_no(wanted)}" for name, wanted in declared(plugin).items())
        yield "sandbox", plugin.level
    if manifest and manifest.permissions.api_key:
        yield "asks for", "your API key; plugins are not given it"


def _show_enforced(plugin: PluginReport, kernel: Kernel) -> None:
    holds, fails = _HEADINGS[plugin.state in _NEVER_STARTED]
    if plugin.enforced:
        output.say()
        output.table((holds, "by"), ((printable(row.promise), printable(row.by)) for row in plugin.enforced))
    if plugin.not_enforced:
        output.say()
        rows = ((printable(row.promise), printable(row.missing)) for row in plugin.not_enforced)
        output.table((fails, "missing"), rows)
        if plugin.level == "strict":
            output.say("`strict` does not start it: something is missing.")
            output.wrapped(f"  fix: {BEST_EFFORT}", indent=7)
    permissions = Permissions(**declared(plugin))
    if plugin.state == ON_DISK and plugin.level != "off" and needs_private_root(permissions, kernel):
        output.say()
        output.wrapped("Whether this machine lets it have a private root is seen when it is started.")


def _show_attempted(plugin: PluginReport, kernel: Kernel) -> None:
    if plugin.state in _NEVER_STARTED and not plugin.attempted:
        return
    output.say()
    if plugin.attempted:
        rows = (
            (printable(f"{row.call} {row.target}"), printable(row.refused), f"{row.count:>5,}", _clock(row.last_ns))
            for row in plugin.attempted
        )
        output.table(("attempted", "refused as", "times", "last"), rows)
        if plugin.attempted_unlisted:
            output.say(f"and {plugin.attempted_unlisted:,} more, which the list had no room for")
    elif plugin.level == "off":
        output.say("attempted  not known: with the sandbox off, nothing is refused")
    elif kernel.has_notifier:
        output.say("attempted  nothing that was refused")
    else:
        output.say("attempted  not known: this kernel does not tell what it refuses")


def _clock(nanoseconds: int) -> str:
    return f"{datetime.fromtimestamp(nanoseconds / 1e9, UTC).astimezone():%m-%d %H:%M:%S}" if nanoseconds else "-"


def yes_no(value: bool) -> str:
    return "yes" if value else "no"
