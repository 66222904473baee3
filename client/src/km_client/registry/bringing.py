"""Order what is missing, provision this machine, and say in words what came of it: for `init`, `install`, `refresh`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from km_client.output import printable
from km_client.registry import activation, listing, ordering, provisioning
from km_client.registry.bars import Bars, Waiting
from km_client.registry.errors import NOT_READY, RegistryError
from km_client.registry.link import Link
from km_client.registry.provisioning import Done, Wanted

SHOWN = 10
_AGAIN_SECONDS = 0.5  # a worker signs a repository within a second


def bring(link: Link, wanted: Wanted, *, wait_seconds: float) -> Done:
    """Have what is wanted built at the service, then provision this machine. Raises `RegistryError`.

    `wait_seconds`: for what is built there, and for a new customer's repository, which is signed when first asked for.
    """
    deadline = time.monotonic() + wait_seconds
    here = [build.name for _, build in activation.installed(link.place)]
    problem: RegistryError | None = None
    ordered: dict[str, str] = {}
    waiting = Waiting()
    try:
        ordered = ordering.order(
            link,
            [*here, *(wanted.names or ())],
            within_seconds=wait_seconds,
            tell=lambda names: waiting.tell(f"waiting for {_named(names)}, which the service builds now"),
        )
    except RegistryError as error:  # it only asks for builds: what is signed already can be had all the same
        problem = error
    done = _provision(link, wanted, waiting, deadline)
    if problem and not done.offered:
        raise problem
    done.available = sorted(name for name, state in ordered.items() if state == ordering.AVAILABLE)
    return done


def _provision(link: Link, wanted: Wanted, waiting: Waiting, deadline: float) -> Done:
    while True:
        try:
            with Bars() as bars:
                return provisioning.provision(link, wanted, now=datetime.now(UTC), watcher=bars)
        except RegistryError as error:
            if error.code != NOT_READY or time.monotonic() > deadline:
                raise
        waiting.tell("waiting for the service, which signs what this account may run")
        time.sleep(_AGAIN_SECONDS)


def may_be_had(done: Done) -> list[str]:
    """What else could be installed, for who does not know it yet."""
    if not done.available:
        return []
    named = ", ".join(printable(name) for name in done.available[:SHOWN])
    more = f" and {len(done.available) - SHOWN} more" if len(done.available) > SHOWN else ""
    return [f"To be had as well: {named}{more}. `km-client plugins install NAME` installs one."]


def summary(done: Done) -> list[str]:
    """What happened, a line each; nothing where nothing did."""
    lines = [f"Installed {build.name} {build.version}, reviewed by {len(build.reviewers)}." for build in done.installed]
    lines += [f"Not installed: {one.name} {one.version}: {printable(one.error.message)}" for one in done.failed]
    for name, stands in done.standings.plugins.items():
        if stands.state != "ok":
            lines.append(f"Does not run any more: {name}: {listing.words_of(stands)}")
        elif stands.warning:
            lines.append(f"Goes on, but is not installed anew anywhere: {name}: {printable(stands.warning)}")
    return lines


def _named(names: Sequence[str]) -> str:
    return " and ".join(f"`{printable(name)}`" for name in names)
