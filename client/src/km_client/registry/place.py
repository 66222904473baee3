"""Where one customer's part of the registry lies on this machine.

    registry/keys/5e1f…               which customer a server's key belongs to, so that nobody need be asked again
    registry/9c41…/roots/             the two roots this machine trusts, since `init`
    registry/9c41…/catalog/           what TUF knows of the catalog;  …/director/ of this customer's own repository
    registry/9c41…/plugins/NAME/      its versions, and which one is active
    registry/9c41…/quarantine/        what failed verification, with the reason
    registry/9c41…/state.json         how each plugin stood at the last refresh
    registry/9c41…/trust.json         whose signatures count, for `plugins verify`

The directory is named by server and customer, not by key: a new key of the same customer finds everything again. Two
customers on one machine share nothing.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from km_client import paths
from km_client.agent.delivery import Destination
from km_client.atomic_file import replace_file

PRIVATE = 0o600
MOST_ID = 200


class Place(NamedTuple):
    """One customer of one server."""

    url: str
    customer_id: str
    directory: Path

    @property
    def lock_file(self) -> Path:
        return self.directory / ".lock"

    @property
    def roots(self) -> Path:
        return self.directory / "roots"

    @property
    def plugins(self) -> Path:
        return self.directory / "plugins"

    @property
    def quarantine(self) -> Path:
        return self.directory / "quarantine"

    @property
    def state_file(self) -> Path:
        return self.directory / "state.json"

    @property
    def trust_file(self) -> Path:
        return self.directory / "trust.json"

    def is_set_up(self) -> bool:
        """Whether this machine has been told whom to trust there."""
        return (self.roots / "catalog.json").is_file()


def place_for(url: str, customer_id: str) -> Place:
    url = url.rstrip("/")
    return Place(url, customer_id, paths.registry_dir() / _digest(f"{url}|{customer_id}"))


def known(destination: Destination) -> Place | None:
    """The place of this server and key, once it was used; `None` before."""
    try:
        customer_id = _note(destination).read_text(encoding="utf-8")[:MOST_ID]
    except (OSError, UnicodeDecodeError):
        return None
    return place_for(destination.url, customer_id) if customer_id else None


def remember(destination: Destination, customer_id: str) -> Place:
    """Note whose key it is."""
    found = known(destination)
    if found is None or found.customer_id != customer_id:
        replace_file(_note(destination), customer_id.encode(), mode=PRIVATE)
    return place_for(destination.url, customer_id)


def _note(destination: Destination) -> Path:
    return paths.registry_dir() / "keys" / _digest(f"{destination.url.rstrip('/')}|{destination.key}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
