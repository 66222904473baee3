"""Run one plugin as a customer's machine would, strictly confined and fed with the golden stream, and say how it went.

    try_plugin(Path("slow-tools"), scratch=Path("/tmp/…"))
    → Trial(ok=True, state="running", events=20, handled=20, failed=0, attempted=[], memory_bytes=31457280, seconds=1.1)

Nothing is shipped, nothing of the account is used: the plugin's features are those its manifest names, granted by a key
made for this run. A plugin that this machine cannot confine is not run.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path

from km_plugin_sdk.events import to_envelope
from km_plugin_sdk.testing import TokenIssuer, golden_events
from km_plugin_sdk.wire import plugin_pb2
from km_protocol.errors import SettingsError
from km_protocol.kmpkg.manifest import Manifest

from km_client.plugins import discovery
from km_client.plugins.errors import PluginError
from km_client.plugins.sandbox.attempts import Attempt
from km_client.plugins.settings import HostSettings
from km_client.plugins.status import PluginStatus
from km_client.plugins.supervisor import Instance, PluginSupervisor

CUSTOMER = "cus_trial"
TIER = "Enterprise"
READY_SECONDS = 20.0  # longer than a start may take
FEED_SECONDS = 30.0  # for some twenty events; a call that hangs is given up after five
_POLL_SECONDS = 0.01
_LOG_LINES = 20


@dataclass(slots=True)
class Trial:
    """`ok`: it started, took every event without being lost, and nothing it tried was refused.

    `memory_bytes` is the most it held at once; `seconds` from its start until it had handled the stream.
    """

    ok: bool
    state: str
    events: int
    handled: int = 0
    failed: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    attempted: list[Attempt] = field(default_factory=list)
    memory_bytes: int = 0
    seconds: float = 0.0
    code: str = ""
    message: str = ""
    log: list[str] = field(default_factory=list)


def try_plugin(path: Path, *, scratch: Path) -> Trial:
    """`scratch` is an empty directory for its state and its log."""
    events = [to_envelope(event) for event in golden_events()]
    try:
        spec = discovery.find(path)
        config = _config(spec.manifest, at=time.time())
    except (PluginError, SettingsError) as error:
        return Trial(False, "refused", len(events), code=error.code, message=str(error))
    settings = HostSettings(scratch / "state", scratch / "log", "strict", back_off_seconds=())
    supervisor = PluginSupervisor(settings, lambda _: config)
    started = time.monotonic()
    try:
        supervisor.start([Instance(spec.name, spec)])
        with contextlib.suppress(TimeoutError):  # then its state says that it did not become ready
            supervisor.wait_for(spec.name, "running", "refused", "disabled", timeout=READY_SECONDS)
        supervisor.offer(events)
        status, memory = _fed(supervisor, spec.name)
        seconds = time.monotonic() - started
    finally:
        supervisor.stop()
    return _judged(status, supervisor.status()[0], len(events), memory, seconds)


def _fed(supervisor: PluginSupervisor, key: str) -> tuple[PluginStatus, int]:
    """The status once nothing waits any more, and the most memory it was seen to hold."""
    deadline = time.monotonic() + FEED_SECONDS
    memory = 0
    while True:
        status = supervisor.status()[0]
        memory = max(memory, _peak_memory(status.pid))
        if status.state != "running" or supervisor.is_idle(key) or time.monotonic() > deadline:
            return status, memory
        time.sleep(_POLL_SECONDS)


def _peak_memory(pid: int | None) -> int:
    """In bytes, as the kernel counted; 0 where it does not say."""
    with contextlib.suppress(OSError, ValueError):  # it has ended, or this is no Linux
        lines = Path(f"/proc/{pid}/status").read_text().split("\n")
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)
    return 0


def _judged(fed: PluginStatus, ended: PluginStatus, events: int, memory: int, seconds: float) -> Trial:
    """What it did while it was fed, and what it tried until its end."""
    trouble = ended.trouble
    attempted = list(ended.attempts)
    whole = fed.state == "running" and ended.handled + ended.failed == events
    code, message = (trouble.code, trouble.message) if trouble else ("", "")
    if not whole and not code:
        code, message = "not_handled", f"{ended.handled + ended.failed} of {events} events were taken"
    elif attempted and not code:
        code, message = "refused_attempts", "it tried what its manifest does not ask for"
    return Trial(
        ok=whole and not attempted,
        state=fed.state,
        events=events,
        handled=ended.handled,
        failed=ended.failed,
        dropped=dict(ended.dropped),
        attempted=attempted,
        memory_bytes=memory,
        seconds=round(seconds, 3),
        code=code,
        message=message,
        log=_tail(Path(ended.log)),
    )


def _config(manifest: Manifest, *, at: float) -> plugin_pb2.PluginConfig:
    """Every feature it names, its settings' defaults. Raises `SettingsError` when those are not enough."""
    features = sorted({"console_logging", *manifest.features.required, *manifest.features.optional})
    issuer = TokenIssuer("trial")
    token = issuer.token(plugin_name=manifest.name, customer_id=CUSTOMER, at=at, features=features, tier=TIER)
    config = plugin_pb2.PluginConfig(
        customer_id=CUSTOMER,
        api_endpoint="http://127.0.0.1:9",  # nobody listens there
        jwt=token,
        features=features,
        tier=TIER,
        log_level="info",
        token_keys=issuer.jwks,
        plugin_name=manifest.name,
    )
    config.custom_settings.update(manifest.settings({}))
    return config


def _tail(path: Path) -> list[str]:
    with contextlib.suppress(OSError):  # it never printed anything
        return path.read_text(errors="replace").splitlines()[-_LOG_LINES:]
    return []
