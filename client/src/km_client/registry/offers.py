"""One build that the director lists for this customer, beside what the catalog says of the same version.

slow-tools/1.2.0/linux-amd64/km-plugin-slow-tools-3f9a0c41d2e8.kmpkg   →  Offer("slow-tools", "1.2.0", …)
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from km_protocol.errors import ManifestError
from km_protocol.kmpkg import names
from km_protocol.kmpkg.versions import Version

if TYPE_CHECKING:
    from tuf.api.metadata import TargetFile

ANY = "any"
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_WITHDRAWN = frozenset({"yanked", "blocked", "quarantined"})


@dataclass(frozen=True, slots=True)
class Offer:
    """`payload_digest` is the director's; `problem` says why the catalog does not agree, empty when it does.

    `is_private`: it is the customer's own plugin, which reviewers certify in the customer's repository.
    `withdrawn` is the catalog's word for a version that was taken back, such as `yanked`.
    """

    name: str
    version: str
    platform: str
    target: TargetFile
    payload_digest: str
    is_private: bool = False
    problem: str = ""
    withdrawn: str = ""

    @property
    def sha256(self) -> str:
        return str(self.target.hashes["sha256"])

    @property
    def size(self) -> int:
        return int(self.target.length)

    @property
    def file_name(self) -> str:
        return self.target.path.rpartition("/")[2]

    @property
    def number(self) -> Version:
        return Version.parse(self.version)

    def reviewed_as(self, entry: Mapping[str, Any] | None) -> Offer:
        """This offer, judged by the catalog's entry of the same version."""
        if entry is None:
            return replace(self, problem="the catalog does not know this version: nobody reviewed it")
        state = str(entry.get("state", ""))
        if state in _WITHDRAWN:
            return replace(self, problem=f"the catalog says it was {state}", withdrawn=state)
        if entry.get("payload_digest") != self.payload_digest:
            return replace(self, problem="what is offered is not what was reviewed: the payload's digest differs")
        return self


def offer_from(target: TargetFile) -> Offer | None:
    """What a target of the director offers; `None` for a path of another form."""
    parts = target.path.split("/")
    if len(parts) != 4 or "sha256" not in target.hashes or not names.is_plugin_name(parts[0]):
        return None
    try:
        Version.parse(parts[1])
    except (ManifestError, ValueError):
        return None
    custom = target.custom if isinstance(target.custom, dict) else {}
    return Offer(
        parts[0], parts[1], parts[2], target, str(custom.get("payload_digest", "")), custom.get("private") is True
    )


def own_platform() -> str:
    """As the registry calls a machine like this one: `linux-amd64`."""
    machine = platform.machine().lower()
    return f"{sys.platform}-{_MACHINES.get(machine, machine)}"


def platforms() -> tuple[str, ...]:
    return (own_platform(), ANY)
