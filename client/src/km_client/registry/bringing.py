"""Order what is missing, provision this machine, and say in words what came of it: for `init`, `install`, `refresh`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from km_client.output import printable
from km_client.registry import activation, listing, ordering, provisioning
from km_client.registry.bars import Bars
from km_client.registry.errors import RegistryError
from km_client.registry.link import Link
from km_client.registry.provisioning import Done, Wanted


def bring(link: Link, wanted: Wanted, *, wait_seconds: float) -> Done:
    """Have what is wanted built at the service, then provision this machine. Raises `RegistryError`."""
    here = [build.name for _, build in activation.installed(link.place)]
    problem: RegistryError | None = None
    try:
        ordering.order(link, [*here, *(wanted.names or ())], within_seconds=wait_seconds, tell=_tell_building)
    except RegistryError as error:  # it only asks for builds: what is signed already can be had all the same
        problem = error
    with Bars() as bars:
        done = provisioning.provision(link, wanted, now=datetime.now(UTC), watcher=bars)
    if problem and not done.offered:
        raise problem
    return done


def summary(done: Done) -> list[str]:
    """What happened, a line each; nothing where nothing did."""
    lines = [f"Installed {build.name} {build.version}, reviewed by {len(build.reviewers)}." for build in done.installed]
    lines += [f"Not installed: {one.name} {one.version}: {printable(one.error.message)}" for one in done.failed]
    for name, stands in done.standings.plugins.items():
        if stands.state != "ok":
            lines.append(f"Does not run any more: {name}: {listing.words_of(stands)}")
    return lines


def _tell_building(waiting: Sequence[str]) -> None:
    if sys.stderr.isatty():
        named = " and ".join(f"`{printable(name)}`" for name in waiting)
        sys.stderr.write(f"waiting for {named}, which the service builds now\n")
