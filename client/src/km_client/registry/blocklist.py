"""What must not run, whoever listed it before: signed by the role `security`, good for a day.

    {"version": 7, "blocked": [{"name": "slow-tools", "version": "1.2.0", "sha256": null, "level": "hard",
                                "reason": "reads files it does not declare", "state": "blocked"}]}

`hard`: it is stopped and not started again. `soft`: it is not installed anew; what is installed goes on, with a
warning, until its package expires or another version is offered.
Without a version all are meant; a digest names one payload or one package, and then the version does not matter.
`state`: `yanked` where somebody took the version back, without saying that it does harm. `payloads`: the digests of
what a line about a plugin or a version covers, for whoever has nothing but a package.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from km_client.registry.errors import RegistryError


class Blocked(msgspec.Struct, frozen=True):
    """One line. Fields that this version does not know are passed over."""

    name: str
    version: str | None = None
    sha256: str | None = None
    level: Literal["soft", "hard"] = "hard"
    reason: str = ""
    state: Literal["blocked", "yanked"] = "blocked"
    payloads: tuple[str, ...] = ()

    def is_about(self, name: str, version: str, digests: frozenset[str]) -> bool:
        if self.sha256:
            return self.sha256 in digests
        return self.name == name and self.version in {None, "", version}


class Blocklist(msgspec.Struct, frozen=True):
    MAX_BYTES: ClassVar[int] = 4 * 1024 * 1024

    blocked: tuple[Blocked, ...] = ()

    @classmethod
    def read(cls, data: bytes) -> Blocklist:
        """Raises `RegistryError`: a list that cannot be read must not pass for an empty one."""
        try:
            return msgspec.json.decode(data, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            message = f"the registry's blocklist cannot be read: {error}"
            raise RegistryError("registry_invalid", message, "install a newer km-client") from None

    def find(self, name: str, version: str, *digests: str) -> Blocked | None:
        """The line about this build: a hard one before a soft one, `blocked` before `yanked`."""
        found = [line for line in self.blocked if line.is_about(name, version, frozenset(digests))]
        return min(found, key=lambda line: (line.level != "hard", line.state), default=None)

    def why_absent(self, name: str) -> str:
        """Why a plugin may not be offered, as far as the list says; empty if it does not."""
        named = (line for line in self.blocked if line.name == name and line.state == "blocked")
        return next((line.reason or "no reason is given" for line in named), "")

    def digests(self) -> frozenset[str]:
        """Of payloads and packages, for those who look at one package only."""
        blocked = [line for line in self.blocked if line.state == "blocked"]
        return frozenset(digest for line in blocked for digest in (line.sha256, *line.payloads) if digest)
