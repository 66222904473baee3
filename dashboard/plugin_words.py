"""What machines and manifests say about plugins, in words and with a tone: one spelling on every page.

    permissions(manifest)         → [Asked("network", "opens connections to the network"), …]
    standing(report)              → Standing("Not in your plan", "warn", "it needs api_logging")

A client's words are its own: what is not known here is shown as it came.
"""

from __future__ import annotations

from typing import NamedTuple

from km_protocol.kmpkg.manifest import Manifest

from customers.machines import PluginReport

PERMISSIONS = {
    "network": "opens connections to the network",
    "filesystem": "reads and writes files of whoever runs it",
    "system": "starts other programs",
    "api_key": "is given your API key",
}
NOTHING = "nothing: no network, no files but its own, no other programs"
_STATES = {
    "running": ("Running", "good"),
    "installed": ("Installed", "good"),
    "new": ("Waiting to start", ""),
    "starting": ("Starting", ""),
    "stopping": ("Stopping", ""),
    "stopped": ("Stopped", ""),
    "ended": ("Not running", ""),
    "waiting": ("Restarting", "warn"),
    "crashed": ("Restarting", "warn"),
    "refused": ("Refused", "bad"),
    "disabled": ("Disabled", "bad"),
    "unavailable": ("Cannot start", "bad"),
    "not_entitled": ("Not in your plan", "warn"),
    "blocked": ("Blocked", "bad"),
    "yanked": ("Yanked", "bad"),
    "replaced": ("Replaced", "warn"),
    "expired": ("Expired", "warn"),
}
_REASONS = {
    "plugin_blocked": "the registry blocks it: it must not run anywhere",
    "plugin_yanked": "it was taken off the shelf",
    "plugin_replaced": "another build took its place",
    "not_entitled": "your plan does not include what it needs",
    "settings_invalid": "its settings on that machine are wrong",
    "plugin_tampered": "its files were changed on that machine",
    "package_expired": "its package has expired: `km-client plugins refresh` fetches another",
    "manifest_invalid": "its manifest is not valid",
    "manifest_missing": "it has no manifest",
    "program_missing": "the program it starts is not there",
    "program_not_executable": "the program it starts may not be executed",
    "program_architecture": "it was built for another kind of machine",
    "python_incompatible": "that machine's Python is too old or too new for it",
    "cli_incompatible": "that machine's `km-client` is too old or too new for it",
    "initialize_failed": "it failed while it started",
    "initialize_refused": "it refused its settings",
    "name_taken": "another plugin of that name runs there",
}


_UNWELL = ("warn", "bad")


class Asked(NamedTuple):
    """A permission, by its name and in words."""

    name: str
    words: str


class Standing(NamedTuple):
    """How a plugin stands on a machine. `why` is empty where nothing is wrong."""

    words: str
    tone: str
    why: str

    @property
    def is_well(self) -> bool:
        return self.tone not in _UNWELL


def permissions(manifest: Manifest) -> list[Asked]:
    """What the plugin asks for."""
    return [Asked(name, words) for name, words in PERMISSIONS.items() if getattr(manifest.permissions, name)]


def is_well(state: str) -> bool:
    """Whether a plugin in `state` runs as it should."""
    return _STATES.get(state, ("", ""))[1] not in _UNWELL


def standing(report: PluginReport) -> Standing:
    """What a client said of one plugin."""
    words, tone = _STATES.get(report.state, (report.state or "Not told", ""))
    if report.missing_features:
        return Standing(words, tone, f"it needs {', '.join(report.missing_features)}")
    return Standing(words, tone, _REASONS.get(report.reason, report.reason))
