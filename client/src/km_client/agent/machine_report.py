"""What the server is told of this machine, with each lease: its name, its system, and how the account's plugins stand.

    describe(destination) → {"name": "ann-laptop", "os": "Linux 6.1.0", "platform": "linux-amd64",
                             "client_version": "0.1.0",
                             "plugins": [{"name": "slow-tools", "version": "1.2.0", "state": "not_entitled",
                                          "reason": "", "missing_features": ["api_logging"]}],
                             "redaction": {"enabled": true, "patterns": 1, "allowed": 0, "redacted": {"github": 3}}}

It is what `km-client plugins list` shows of this account, and no more: no paths, no messages, no plugin of another
account or of none. Reasons are codes, whose words the server has.
"""

from __future__ import annotations

import platform
import socket
from collections.abc import Iterator

from km_protocol.api_keys import display

from km_client import __version__, config, paths
from km_client.agent import state
from km_client.agent.delivery import Destination
from km_client.agent.plugin_reports import REPORT_FILE
from km_client.errors import ClientError
from km_client.plugins import report

MOST_PLUGINS = MOST_KINDS = 500  # as many as the server takes
_MOST_CHARACTERS = 80
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}

Told = dict[str, object]


def describe(destination: Destination) -> Told:
    """As of now. Reads a few small files."""
    ran = {str(one["name"]): one for one in _ran(display(destination.key))}
    plugins = {**{str(one["name"]): one for one in _installed(destination)}, **ran}
    machine = platform.machine().lower()
    return {
        "name": socket.gethostname().partition(".")[0][:_MOST_CHARACTERS],
        "os": f"{platform.system()} {platform.release()}"[:_MOST_CHARACTERS],
        "platform": f"{platform.system().lower()}-{_MACHINES.get(machine, machine)}"[:40],
        "client_version": __version__,
        "plugins": list(plugins.values())[:MOST_PLUGINS],
        "redaction": _redaction(),
    }


def _redaction() -> Told | None:
    """What this machine takes out, and how often it did so far; `None` where its settings cannot be read."""
    try:
        chosen = config.load(environment={})  # as the agent has it, for all sessions
    except ClientError:
        return None
    known = state.read(paths.agent_dir() / "state.json")
    redacted = known.totals.redacted if known else {}
    return {
        "enabled": chosen.redacts,
        "patterns": len(chosen.patterns),
        "allowed": len(chosen.allowed),
        "redacted": {kind[:_MOST_CHARACTERS]: times for kind, times in list(redacted.items())[:MOST_KINDS]},
    }


def _ran(key: str) -> Iterator[Told]:
    """Those that a session of this account had, as the agent last wrote them down."""
    told = report.read(paths.agent_dir() / REPORT_FILE)
    for one in told.plugins if told else ():
        if one.account == key:
            reason = one.trouble.code if one.trouble else ""
            yield _one(one.name, one.version, one.state, reason, one.missing_features)


def _installed(destination: Destination) -> Iterator[Told]:
    """Those the registry gave, whether or not any session ran them. Nothing of it is loaded where it never was used."""
    if not paths.registry_dir().is_dir():
        return
    from km_client.registry import activation, standing  # noqa: PLC0415 - see above
    from km_client.registry import place as places  # noqa: PLC0415

    place = places.known(destination)
    if place is None:
        return
    standings = standing.load(place)
    for _, build in activation.installed(place):
        refusal = standings.refusal(build)
        code = refusal.code if refusal else ""
        yield _one(build.name, build.version, report.barred_state(code) if code else "installed", code, ())


def _one(name: str, version: str, state: str, reason: str, missing: list[str] | tuple[str, ...]) -> Told:
    texts = {"name": name, "version": version, "state": state, "reason": reason}
    cut = {field: text[:_MOST_CHARACTERS] for field, text in texts.items()}
    return {**cut, "missing_features": [each[:_MOST_CHARACTERS] for each in missing][:50]}
