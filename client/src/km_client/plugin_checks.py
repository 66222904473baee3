"""What can be wrong with plugins: the sandbox this machine can make, the lease, and each plugin that has trouble.

ok       sandbox  `strict`: this kernel keeps every promise …
problem  plugin   api-logger: needs `api_logging`, which tier Free does not have
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from itertools import product
from pathlib import Path

from km_protocol.kmpkg.manifest import Permissions

from km_client.check import Check
from km_client.output import printable
from km_client.overview import Told
from km_client.plugins import words
from km_client.plugins.inspection import PERMISSIONS
from km_client.plugins.sandbox.guarantees import Level, needs_private_root, promised
from km_client.plugins.sandbox.kernel import Kernel

# sysctl → the value that refuses. Debian's, Ubuntu's, and the kernel's own.
_NAMESPACE_SETTINGS = {
    "kernel.unprivileged_userns_clone": "0",
    "kernel.apparmor_restrict_unprivileged_userns": "1",
    "user.max_user_namespaces": "0",
}
_ALL_SETS = [Permissions(*flags) for flags in product((False, True), repeat=len(PERMISSIONS))]


def sandbox(level: Level, source: str, kernel: Kernel, namespaces_refused_by: str = "") -> Check:
    """What this machine can enforce at `level`, and which plugins it would not start."""
    named = f"`{level}` from {source}"
    if level == "off":
        words_ = f"{named}: plugins run with all your rights, whatever their manifest says"
        return Check("sandbox", "note", words_, "run `km-client config set sandbox strict`")
    lacking = {each: reasons for each in _ALL_SETS if (reasons := _missing(each, kernel))}
    if not lacking and namespaces_refused_by and needs_private_root(Permissions(network=True), kernel):
        words_ = f"{named}: a network without the file system may be refused: `{namespaces_refused_by}` keeps programs"
        fix = "allow `userns` to this Python in an AppArmor profile, or `km-client config set sandbox best-effort`"
        return Check("sandbox", "note", f"{words_} from user namespaces", fix)
    if not lacking:
        return Check("sandbox", "ok", f"{named}: this kernel keeps every promise, for any permissions")
    missing = "; ".join(dict.fromkeys(reason for reasons in lacking.values() for reason in reasons))
    does = "refuses" if level == "strict" else "starts with fewer promises"
    words_ = f"{named} {does} {_plugins_with(list(lacking))}: this machine lacks {missing}"
    fix = "use a newer kernel, or `km-client config set sandbox best-effort` to start them all the same"
    return Check("sandbox", "note", words_, fix if level == "strict" else "`km-client plugins inspect NAME` lists them")


def namespaces_refused_by(settings: Path = Path("/proc/sys")) -> str:
    """The setting that keeps ordinary programs from making a private root; empty if none is known to."""
    for name, value in _NAMESPACE_SETTINGS.items():
        with contextlib.suppress(OSError):  # kernels that do not have this one do not refuse by it
            if (settings / name.replace(".", "/")).read_text().strip() == value:
                return name
    return ""


def _missing(permissions: Permissions, kernel: Kernel) -> list[str]:
    return [row.missing for row in promised(permissions, kernel) if not row.enforced]


def _plugins_with(sets: list[Permissions]) -> str:
    """`every plugin`, or the sets in words: `plugins with network or network and filesystem`."""
    if len(sets) == len(_ALL_SETS):
        return "every plugin"
    single = [name for name in PERMISSIONS if all(each in sets for each in _ALL_SETS if getattr(each, name))]
    others = [each for each in sets if not any(getattr(each, name) for name in single)]
    parts = single + [" and ".join(name for name in PERMISSIONS if getattr(each, name)) or "nothing" for each in others]
    return f"plugins that ask for {', or '.join(parts)}"


def leases(told: Told) -> Iterator[Check]:
    """Of an agent that is gone, the lease is as it was then."""
    for account in told.accounts:
        found = words.lease_note(account)
        which = f"`{printable(account.key)}…`: " if len(told.accounts) > 1 else ""
        if found is None:
            tier = printable(account.tier) or "Free"
            yield Check("lease", "ok", f"{which}tier {tier}, {account.lease_state.replace('_', ' ') or 'no lease'}")
        else:
            is_now = told.agent_pid is not None
            yield Check("lease", found.severity if is_now else "note", which + found.words, found.fix)


def plugins(told: Told, *, now: datetime) -> Iterator[Check]:
    """Each thing that is wrong with a plugin; one line for all that work."""
    working = []
    for plugin in told.plugins:
        found = words.notes(plugin, now=now)
        for note in found:
            yield Check("plugin", note.severity, f"{printable(plugin.key)}: {note.words}", note.fix)
        if not found:
            working.append(f"{printable(plugin.key)} ({words.state(plugin)})")
    if working:
        yield Check("plugins", "ok", ", ".join(working))
