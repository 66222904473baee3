"""How each installed plugin stood at the last refresh: what the agent goes by until the next one, also offline.

    {"checked_at": "2026-11-22T20:15:00Z", "problem": "",
     "plugins": {"slow-tools": {"state": "ok", "allowed": ["3f9a…"], "available": "1.3.0", "reason": ""}}}

`ok`: the director lists the build, or it is blocked softly: then `warning` says why, and another offered version takes
its place. `replaced`: it lists another build in its place. `not_entitled`: it lists none for this customer any more.
`yanked`: the version was taken back, or no reviewer vouches for it any more; `blocked`: it is on the blocklist for what
it does. Only `ok` runs; for how long, and with which features, the lease says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from km_client.atomic_file import replace_file
from km_client.plugins.errors import RefusedError
from km_client.registry.blocklist import Blocklist
from km_client.registry.builds import Build
from km_client.registry.offers import Offer
from km_client.registry.place import PRIVATE, Place

State = Literal["ok", "replaced", "not_entitled", "yanked", "blocked"]
_WORDS: dict[str, tuple[str, str]] = {
    "replaced": ("another build took its place", "`km-client plugins refresh` installs it"),
    "not_entitled": ("the account may not run it any more", "change the tier in the dashboard: it then comes back"),
    "yanked": ("its author or the registry took this version back", "`km-client plugins refresh` looks for another"),
    "blocked": ("the registry blocked it", "remove it: `km-client plugins remove {name}`"),
}


class Standing(msgspec.Struct, frozen=True):
    """One plugin. `allowed`: digests of the builds that may run; `available`: a newer version."""

    state: State
    allowed: tuple[str, ...] = ()
    available: str = ""
    reason: str = ""
    warning: str = ""


class Standings(msgspec.Struct, frozen=True):
    """The whole file. `problem` is why the last refresh failed; the rest is then of the one before."""

    checked_at: datetime | None = None
    problem: str = ""
    plugins: dict[str, Standing] = {}

    def refusal(self, build: Build) -> RefusedError | None:
        """Why this build may not run now; `None` if it may."""
        found = self.plugins.get(build.name)
        if found is None:
            message = f"{build.name} {build.version} was never compared with the registry"
            return RefusedError("not_entitled", message, "`km-client plugins refresh` does that")
        if build.sha256 in found.allowed:
            return None
        state = found.state if found.state != "ok" else "replaced"
        words, fix = _WORDS[state]
        reason = f": {found.reason}" if found.reason else ""
        message = f"{build.name} {build.version} does not run: {words}{reason}"
        return RefusedError(f"plugin_{state}", message, fix.format(name=build.name))


def load(place: Place) -> Standings:
    """Nothing is known where the file is missing or damaged: then nothing runs until a refresh."""
    try:
        return msgspec.json.decode(place.state_file.read_bytes(), type=Standings)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return Standings()


def save(place: Place, standings: Standings) -> None:
    replace_file(place.state_file, msgspec.json.encode(standings), mode=PRIVATE)


def judge(build: Build, offers: Sequence[Offer], entry: Mapping[str, Any] | None, blocklist: Blocklist) -> Standing:
    """How `build` stands. `offers` are all of this customer's, `entry` the catalog's of the same version."""
    own = [offer for offer in offers if offer.name == build.name]
    good = [offer for offer in own if not offer.problem and not _is_blocked(blocklist, offer, "hard")]
    fresh = [offer for offer in good if not _is_blocked(blocklist, offer)]
    newest = max(fresh, key=lambda offer: offer.number, default=None)
    allowed = tuple(offer.sha256 for offer in good)
    blocked = blocklist.find(build.name, build.version, build.sha256, build.payload_digest)
    available = newest.version if newest and newest.sha256 != build.sha256 else ""
    if blocked and blocked.level == "hard":
        return Standing(blocked.state, allowed, available, blocked.reason)
    if blocked:  # the director lists it to nobody any more: what is here goes on until its package expires
        return Standing("ok", (*allowed, build.sha256), available, warning=blocked.reason)
    if build.sha256 in allowed:
        return Standing("ok", allowed, available)
    if entry is not None and entry.get("state") in {"yanked", "blocked", "quarantined"}:
        state: State = "blocked" if entry["state"] == "blocked" else "yanked"
        return Standing(state, allowed, available, str(entry.get("reason", "")))
    if good:
        return Standing("replaced", allowed, available)
    if entry is None:
        return Standing("yanked", allowed)
    problem = next((offer.problem for offer in own if offer.problem), "")
    return Standing("not_entitled", allowed, reason=problem)


def _is_blocked(blocklist: Blocklist, offer: Offer, *levels: str) -> bool:
    """On one of `levels`, or on any."""
    found = blocklist.find(offer.name, offer.version, offer.sha256, offer.payload_digest)
    return found is not None and (not levels or found.level in levels)
