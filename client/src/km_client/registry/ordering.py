"""Ask the service to have this customer's builds ready: what is missing is built there, which takes a moment.

    ready = order(link, ["slow-tools"], within_seconds=60.0)      {"slow-tools": "ready", …}

What it answers is a convenience. What is installed is what the signed metadata lists, and nothing because of this.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from km_client.registry.errors import RegistryError
from km_client.registry.link import Link
from km_client.registry.offers import own_platform

_UNDER_WAY = frozenset({"queued", "building", "signing"})
AVAILABLE = "available"  # built for whoever asks for it by name
_POLL_SECONDS = 0.5
MOST = 500


def order(
    link: Link, names: Sequence[str], *, within_seconds: float, tell: Callable[[Sequence[str]], None] = lambda _: None
) -> dict[str, str]:
    """Each plugin's state there, once nothing is being built any more or the time is over.

    `names`: those to build beside the ones everybody gets. `tell` hears the names that are still being built.
    Raises `RegistryError`.
    """
    deadline = time.monotonic() + within_seconds
    while True:
        found = _ask(link, names)
        waiting = [name for name, state in found.items() if state in _UNDER_WAY]
        if not waiting or time.monotonic() > deadline:
            return found
        tell(waiting)
        time.sleep(_POLL_SECONDS)


def _ask(link: Link, names: Sequence[str]) -> dict[str, str]:
    answer = link.api.provision(link.token, platform=own_platform(), installed=sorted(set(names))[:MOST])
    if answer.status == 404:
        raise RegistryError("registry_absent", f"{link.api.url} has no plugin registry", "ask who runs the server")
    plugins = answer.field("plugins")
    if answer.status != 200 or not isinstance(plugins, list):
        _, message, hint = answer.error()
        said = message or f"it answered {answer.status}"
        raise RegistryError(
            "registry_unreachable", f"{link.api.url} provisions nothing now: {said}", hint or "try later"
        )
    return {str(one.get("name")): str(one.get("state")) for one in plugins if isinstance(one, dict)}
