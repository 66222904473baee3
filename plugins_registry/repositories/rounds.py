"""Publishing whatever is due: what a worker does when it is told to, and every few seconds anyway.

    publish_everything(at=moment)     → Published(catalog=True, directors=1000)

Only the rows decide what is due. A wake-up that is lost, a worker that is killed, two of them at once: the next round
does what is left, and nothing twice that matters.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from plugins_registry.repositories import catalog, director, release


class Published(NamedTuple):
    catalog: bool
    directors: int


def publish_everything(*, at: datetime) -> Published:
    """Reviewed revisions first, for they change the catalog; the catalog next, for directors rest on it."""
    release.publish_ready(at=at)
    done = catalog.publish(at=at)
    directors = 0
    while more := director.publish_due(at=at):
        directors += more
    return Published(done, directors)
