"""What `/metrics` says of this room: what waits for a reviewer, a build or a signature, and when metadata expires.

All of it is read from the database at each scrape. Builds are looked for among the newest `RECENT_BUILDS` of each kind:
what is unfinished is recent, and a table of every customer's packages is not read through every fifteen seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec
from django.db import InterfaceError, OperationalError
from django.db.models import Count, Max, Min
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core import metrics
from core.clock import now
from plugins_registry.models import BuildState, CustomerBuild, MetadataFile, PayloadBuild, RepositoryState, Revision
from plugins_registry.queries import QUEUED
from plugins_registry.repositories.dirty import CATALOG
from plugins_registry.signing.roles import SNAPSHOT_LIFETIME

RECENT_BUILDS = 20_000
DIRECTORS = "directors"
_WATCHED = (BuildState.QUEUED, BuildState.BUILDING, BuildState.FAILED)
_KINDS = (("payload", PayloadBuild), ("customer", CustomerBuild))


class _Signed(msgspec.Struct):
    expires: datetime


class _Metadata(msgspec.Struct):
    """What is read of a metadata file: TUF's `signed.expires`."""

    signed: _Signed


class RegistryCollector(Collector):
    """The gauges of this room."""

    def collect(self) -> Iterator[Metric]:
        """Nothing without a database; `km_database_up` says so."""
        try:
            moment = now()
            gauges = [*_reviews(moment), *_builds(moment), *_signing(moment), _expiries(moment)]
        except (OperationalError, InterfaceError):
            return
        yield from gauges


def register() -> None:
    """Once a process."""
    metrics.register(RegistryCollector())


def _reviews(moment: datetime) -> Iterator[Metric]:
    depth = GaugeMetricFamily("km_review_queue_revisions", "Revisions that wait for us, by state.", labels=["state"])
    age = GaugeMetricFamily("km_review_queue_age_seconds", "How long the oldest has waited.", labels=["state"])
    rows = Revision.objects.order_by().filter(state__in=QUEUED).values("state")
    found = {row["state"]: row for row in rows.annotate(count=Count("pk"), oldest=Min("queued_at"))}
    for state in QUEUED:
        row = found.get(state)
        depth.add_metric([state], row["count"] if row else 0)
        age.add_metric([state], _age(row["oldest"] if row else None, moment))
    yield depth
    yield age


def _builds(moment: datetime) -> Iterator[Metric]:
    depth = GaugeMetricFamily("km_builds", "Recent builds not finished well, by state.", labels=["kind", "state"])
    age = GaugeMetricFamily("km_build_queue_age_seconds", "How long the oldest has waited.", labels=["kind"])
    for kind, model in _KINDS:
        newest = model.objects.order_by().aggregate(newest=Max("pk"))["newest"] or 0
        rows = model.objects.order_by().filter(pk__gt=newest - RECENT_BUILDS, state__in=_WATCHED).values("state")
        found = {row["state"]: row for row in rows.annotate(count=Count("pk"), oldest=Min("created_at"))}
        for state in _WATCHED:
            depth.add_metric([kind, state], found[state]["count"] if state in found else 0)
        waiting = found.get(BuildState.QUEUED)
        age.add_metric([kind], _age(waiting["oldest"] if waiting else None, moment))
    yield depth
    yield age


def _signing(moment: datetime) -> Iterator[Metric]:
    dirty = RepositoryState.objects.filter(dirty_since__isnull=False).aggregate(
        count=Count("pk"), oldest=Min("dirty_since")
    )
    yield GaugeMetricFamily("km_signing_queue_repositories", "Changed and not yet signed.", value=dirty["count"])
    age = _age(dirty["oldest"], moment)
    yield GaugeMetricFamily("km_signing_queue_age_seconds", "How long the oldest change has waited.", value=age)


def _expiries(moment: datetime) -> Metric:
    """A role of the catalog by the file that is served; of the directors, the snapshot that was signed first.

    A director's timestamp is signed when a laptop asks for it, so its age says nothing.
    """
    family = GaugeMetricFamily(
        "km_metadata_expires_seconds", "Until signed metadata expires.", labels=["repository", "role"]
    )
    for repository, role, expires in expiries():
        family.add_metric([repository, role], (expires - moment).total_seconds())
    return family


def expiries() -> Iterator[tuple[str, str, datetime]]:
    """(repository, role, when it expires) of what is served. Three small queries."""
    for role, expires in _catalog_expiries():
        yield CATALOG, role, expires
    directors = RepositoryState.objects.exclude(name=CATALOG).filter(published_at__isnull=False)
    oldest = directors.order_by("published_at").values_list("published_at", flat=True).first()
    if oldest is not None:
        yield DIRECTORS, "snapshot", oldest + SNAPSHOT_LIFETIME


def _catalog_expiries() -> Iterator[tuple[str, datetime]]:
    newest: dict[str, int] = {}
    rows = MetadataFile.objects.filter(repository__name=CATALOG).order_by("version").values_list("path", "pk")
    for path, pk in rows:
        newest[path.removesuffix(".json").rpartition(".")[2]] = pk
    served = dict(MetadataFile.objects.filter(pk__in=newest.values()).values_list("pk", "bytes"))
    for role, pk in sorted(newest.items()):
        if pk in served:  # else it was replaced between the two questions, and the next scrape sees it
            yield role, msgspec.json.decode(bytes(served[pk]), type=_Metadata).signed.expires


def _age(since: datetime | None, moment: datetime) -> float:
    return 0.0 if since is None else max(0.0, (moment - since).total_seconds())
