"""Bring this machine to what its customer may run: one refresh, then what is new, and how everything stands.

    with opened(destination) as link:
        done = provision(link, Wanted(), now=now, watcher=bars)
    done.installed, done.failed, done.standings

`check` looks and writes down how things stand; it installs only what takes the place of a build that may not run any
more. Both leave what was believed before in place when the refresh fails.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec
from km_protocol.kmpkg import trust

from km_client.atomic_file import replace_file
from km_client.registry import activation, builds, roots, standing
from km_client.registry.blocklist import Blocklist
from km_client.registry.builds import Build
from km_client.registry.errors import RegistryError
from km_client.registry.installing import install, scratch
from km_client.registry.link import Link
from km_client.registry.locking import alone
from km_client.registry.offers import ANY, Offer, platforms
from km_client.registry.place import PRIVATE, Place
from km_client.registry.standing import Standing, Standings

if TYPE_CHECKING:
    from km_client.registry.repositories import Repositories


class Watcher(Protocol):
    """Who shows how far it is."""

    def begin(self, name: str, size: int) -> None: ...

    def more(self, count: int) -> None: ...


class _Nobody:
    """Watches nothing."""

    def begin(self, name: str, size: int) -> None: ...

    def more(self, count: int) -> None: ...


NOBODY: Watcher = _Nobody()


class Failure(NamedTuple):
    """What could not be installed."""

    name: str
    version: str
    error: RegistryError


class Wanted(NamedTuple):
    """Which plugins to install: all that are offered and were not removed here, or those named.

    `only_replacements`: nothing but what takes the place of a build that may not run any more.
    """

    names: frozenset[str] | None = None
    only_replacements: bool = False

    def includes(self, name: str, active: activation.Active) -> bool:
        return name in self.names if self.names is not None else not active.is_removed


@dataclass
class Done:
    """What a provisioning did. `received`: bytes of metadata and packages; `offered`: the best build of each plugin.

    `available`: names of what the service would build for whoever asks for it by name.
    """

    installed: list[Build] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    offered: list[Offer] = field(default_factory=list)
    blocklist: Blocklist = field(default_factory=Blocklist)
    standings: Standings = field(default_factory=Standings)
    received: int = 0
    available: list[str] = field(default_factory=list)


class _Listed(NamedTuple):
    """What the two repositories say, once refreshed."""

    offers: list[Offer]
    blocklist: Blocklist


def check(link: Link, *, now: datetime) -> Done:
    """For the agent: as `provision`, but a newer version is only told of while the installed one may run."""
    return provision(link, Wanted(only_replacements=True), now=now)


def provision(link: Link, wanted: Wanted, *, now: datetime, watcher: Watcher = NOBODY) -> Done:
    """Raises `RegistryError` when the registry cannot be believed; one plugin's failure is in `failed`."""
    place = link.place
    with alone(place.lock_file):
        try:
            found = _refreshed(link)
            done = _install(place, found, wanted, now, watcher)
        except RegistryError as error:
            before = standing.load(place)
            standing.save(place, msgspec.structs.replace(before, problem=error.message))
            raise
    return done


def _refreshed(link: Link) -> Repositories:
    from km_client.registry.repositories import Repositories  # noqa: PLC0415 - loads TUF

    pinned = roots.load(link.place)
    if pinned is None:
        message = f"this machine does not know the registry of {link.place.url} yet"
        raise RegistryError("registry_not_set_up", message, "run `km-client init`")
    found = Repositories.opened(link.place, pinned, link.api, link.token)
    found.refresh()
    return found


def _install(place: Place, found: Repositories, wanted: Wanted, now: datetime, watcher: Watcher) -> Done:
    with scratch(place) as directory:
        listed = _Listed(found.offers(platforms()), found.blocklist(directory))
    done = Done(offered=_best(listed), blocklist=listed.blocklist)
    policy = found.policy(listed.blocklist.digests())
    replace_file(place.trust_file, trust.write(policy), mode=PRIVATE)  # for `plugins verify`
    for offer in done.offered:
        if _is_due(place, offer, wanted, listed):
            watcher.begin(offer.name, offer.size)
            try:
                done.installed.append(install(place, found, offer, policy, now=now, progress=watcher.more))
            except RegistryError as error:
                done.failed.append(Failure(offer.name, offer.version, error))
    done.failed += _disagreeing(listed, {offer.name for offer in done.offered})
    done.standings = _stand(place, listed, found, now)
    done.received = found.received
    return done


def _best(listed: _Listed) -> list[Offer]:
    """The newest good build of each plugin, one for this platform before one for any; nothing that is blocked."""
    best: dict[str, Offer] = {}
    for offer in sorted(listed.offers, key=lambda one: (one.number, one.platform != ANY)):
        is_blocked = listed.blocklist.find(offer.name, offer.version, offer.sha256, offer.payload_digest)
        if not offer.problem and not is_blocked:
            best[offer.name] = offer
    return [best[name] for name in sorted(best)]


def _disagreeing(listed: _Listed, good: set[str]) -> list[Failure]:
    """What only one of the two repositories speaks of, where nothing else is offered in its place."""
    return [
        Failure(offer.name, offer.version, RegistryError("registry_disagrees", offer.problem, "tell the operator"))
        for offer in listed.offers
        if offer.problem and not offer.withdrawn and offer.name not in good
    ]


def _is_due(place: Place, offer: Offer, wanted: Wanted, listed: _Listed) -> bool:
    """Whether to install `offer` now."""
    plugin = activation.directory_of(place, offer.name)
    active = activation.load(plugin)
    is_asked_for = wanted.names is not None
    has_failed = builds.directory_name(offer.version, offer.sha256) in active.failed
    if not wanted.includes(offer.name, active) or (has_failed and not is_asked_for):
        return False
    build = builds.read(plugin / active.current) if active.current else None
    if build is None:
        return not wanted.only_replacements or bool(active.current)
    if not builds.is_whole(plugin / active.current, build):
        return True
    if wanted.only_replacements:
        found = standing.judge(build, listed.offers, {}, listed.blocklist)
        return found.state != "ok" or bool(found.warning)
    return build.sha256 != offer.sha256


def _stand(place: Place, listed: _Listed, found: Repositories, now: datetime) -> Standings:
    judged: dict[str, Standing] = {}
    for _, build in activation.installed(place):
        judged[build.name] = standing.judge(build, listed.offers, found.entry(build), listed.blocklist)
    standings = Standings(now, "", judged)
    standing.save(place, standings)
    return standings
