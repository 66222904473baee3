"""What `plugins permissions` shows: each permission and what it opens, each feature and whether it is granted now.

The words are those of docs/security/sandbox.md, "What each permission opens".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from km_client import output
from km_client.output import printable
from km_client.plugins import inspection, words
from km_client.plugins.report import AccountReport, PluginReport
from km_client.plugins.subject import Subject

FREE_FEATURES = frozenset({"console_logging"})  # as `km_plugin_sdk.admission`, whose import loads gRPC
# permission → what is left without it, what it opens
OPENS = {
    "network": (
        "no socket but a unix stream to listen on; nothing can be connected to",
        "TCP and UDP to every host you reach, localhost included; never raw sockets, never another program's sockets",
    ),
    "filesystem": (
        "reads its own files and its runtime's; writes only its state directory and its socket directory",
        "everything you may do with files: your Kilometers key too",
    ),
    "system": (
        "threads, no processes; runs no other program; signals only itself",
        "starts programs from /usr, /bin, /lib, in the same sandbox; signals only its own children",
    ),
}


class FeatureUse(NamedTuple):
    """`granted` is `None` while no agent has asked the server what this account may use."""

    name: str
    required: bool
    granted: bool | None


def feature_uses(subject: Subject, accounts: Sequence[AccountReport]) -> list[FeatureUse]:
    """The features that the manifest names, required ones first."""
    if subject.manifest is None:
        return []
    features, granted = subject.manifest.features, _granted(subject, accounts)
    named = [(name, True) for name in features.required] + [(name, False) for name in features.optional]
    return [FeatureUse(name, is_required, _is_granted(name, granted)) for name, is_required in named]


def _granted(subject: Subject, accounts: Sequence[AccountReport]) -> frozenset[str] | None:
    """Of a plugin that an agent knows, what it was given; else what every account of this machine has."""
    if subject.is_known:
        return frozenset(subject.plugin.features)
    if not accounts:
        return None
    return frozenset.intersection(*(frozenset(account.features) for account in accounts))


def _is_granted(name: str, granted: frozenset[str] | None) -> bool | None:
    if name in FREE_FEATURES:
        return True
    return None if granted is None else name in granted


def answer(subject: Subject, accounts: Sequence[AccountReport]) -> dict[str, Any]:
    """For a script."""
    plugin, manifest = subject
    return {
        "key": plugin.key,
        "name": plugin.name,
        "version": plugin.version,
        "path": plugin.path,
        "permissions": {
            name: {"declared": wanted, "means": OPENS[name][wanted]}
            for name, wanted in inspection.declared(plugin).items()
            if subject.is_readable
        },
        "asks_for_api_key": manifest.permissions.api_key if manifest else None,
        "features": [use._asdict() for use in feature_uses(subject, accounts)],
        "tier": _tier(plugin, accounts),
    }


def show(subject: Subject, accounts: Sequence[AccountReport]) -> None:
    """For a person."""
    plugin, manifest = subject
    output.say(words.title(plugin))
    output.say()
    if not subject.is_readable:
        output.say("What it asks for is not known: its manifest cannot be read.")
        return
    rows = [
        (name, inspection.yes_no(wanted), OPENS[name][wanted]) for name, wanted in inspection.declared(plugin).items()
    ]
    if manifest and manifest.permissions.api_key:
        rows.append(("api_key", "yes", "it asks for your API key; plugins are not given it"))
    output.table(("permission", "asked", "so it can do"), rows)
    output.say()
    uses = feature_uses(subject, accounts)
    if uses:
        output.table(("feature", "needed", "granted"), (_row(use, _tier(plugin, accounts)) for use in uses))
    else:
        output.say("It names no feature." if manifest else "What it needs is not known: its manifest cannot be read.")


def _row(use: FeatureUse, tier: str) -> tuple[str, ...]:
    return printable(use.name), "required" if use.required else "optional", _grant(use, printable(tier))


def _grant(use: FeatureUse, tier: str) -> str:
    if use.granted is None:
        return "not known: no agent has asked the server yet"
    if use.granted:
        return "yes, in every tier" if use.name in FREE_FEATURES else f"yes, by tier {tier}"
    effect = "it is not started" if use.required else "it does without"
    return f"no: tier {tier} does not have it, so {effect}"


def _tier(plugin: PluginReport, accounts: Sequence[AccountReport]) -> str:
    return plugin.tier or next((account.tier for account in accounts if account.tier), "") or "Free"
