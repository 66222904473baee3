"""The first contact with a registry: whom to trust, then the plugins; and the same again whenever `init` is run.

provision(destination, "cus_7Qm2", None).lines()
→ ["The plugin registry's root is trusted from now on: 3f9a 0c41 d2e8 …", "Installed slow-tools 1.2.0, reviewed by 2."]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from km_client.agent.delivery import Destination
from km_client.registry import roots
from km_client.registry.bringing import bring, may_be_had, summary
from km_client.registry.link import Link, opened
from km_client.registry.locking import alone
from km_client.registry.provisioning import Done, Wanted
from km_client.registry.roots import Pinned

WAIT_SECONDS = 20.0  # for builds at the service; what is not ready then comes with the next refresh


class Provisioned(NamedTuple):
    """What `init` has to tell. `is_new`: the root was pinned just now; `is_given`: from a file."""

    fingerprint: str
    is_new: bool
    is_given: bool
    done: Done

    def lines(self) -> list[str]:
        first = [f"The plugin registry's root, {self.fingerprint}"] if self.is_new else []
        if self.is_new and self.is_given:
            first += ["is the one in the file you gave, and is trusted from now on."]
        elif self.is_new:
            first += ["is trusted from now on; compare it with the fingerprint that the operator publishes."]
        return [*([" ".join(first)] if first else []), *summary(self.done), *may_be_had(self.done)]

    def told(self) -> dict[str, Any]:
        """For `init --json`."""
        return {
            "root_fingerprint": self.fingerprint,
            "root_is_new": self.is_new,
            "installed": [msgspec.to_builtins(build) for build in self.done.installed],
            "available": self.done.available,
            "failed": [{"name": one.name, "code": one.error.code} for one in self.done.failed],
        }


def provision(destination: Destination, customer_id: str, root: Path | None) -> Provisioned:
    """Raises `RegistryError`; then no root was pinned that was not there before, or it is and nothing is installed."""
    with opened(destination, customer_id) as link:
        with alone(link.place.lock_file):
            before = _pinned(link)
            pinned = _pin(link, root, before)
        done = bring(link, Wanted(), wait_seconds=WAIT_SECONDS)
    return Provisioned(pinned.fingerprint, pinned != before, root is not None, done)


def _pinned(link: Link) -> Pinned | None:
    return roots.load(link.place) if link.place.is_set_up() else None


def _pin(link: Link, root: Path | None, before: Pinned | None) -> Pinned:
    if root is not None:
        return roots.pin_from_file(link.place, root, link.api, link.token)
    return before or roots.pin_from_service(link.place, link.api, link.token)
