"""Files of the registry's storage that no row names, left by a crash between the file and its row.

    sweep(at=moment)      # 1: the source of a submission whose process was killed

A file is complete before its row names it, so a crash leaves a file and never a row without one. Such a file is
nobody's after a day: a request ends within minutes, and the storage gives no name twice, so the same source sent again
is another file. Swept are `sources/` and `unsigned/`, whose names are new each time. `payloads/` and `packages/` are
not: their names follow from their content, and a later build takes up what an earlier one left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import structlog
from django.core.files.storage import Storage

from plugins_registry.building.customer_builds import UNSIGNED, unsigned_name
from plugins_registry.models import CustomerBuild, Source
from plugins_registry.models.plugins import registry_storage

ORPHANED_AFTER = timedelta(days=1)
SOURCES = "sources"
_BATCH = 500

_log = structlog.get_logger(__name__)


def sweep(*, at: datetime) -> int:
    """Delete them. Returns how many there were."""
    storage = registry_storage()
    kinds: tuple[tuple[str, Callable[[list[str]], set[str]]], ...] = (
        (SOURCES, _sources_named),
        (UNSIGNED, _unsigned_named),
    )
    return sum(
        _delete(storage, name, at)
        for directory, named in kinds
        for names in _batches(storage, directory)
        for name in sorted(set(names) - named(names))
    )


def _sources_named(names: list[str]) -> set[str]:
    return set(Source.objects.filter(file__in=names).values_list("file", flat=True))


def _unsigned_named(names: list[str]) -> set[str]:
    """A build waits for its signatures with the key it has now; what is named after an earlier one is nobody's."""
    ids = {name.removeprefix(f"{UNSIGNED}/").rpartition("-")[0] for name in names}
    rows = CustomerBuild.objects.filter(public_id__in=ids).exclude(build_key_public="")
    return {unsigned_name(public_id, key) for public_id, key in rows.values_list("public_id", "build_key_public")}


def _batches(storage: Storage, directory: str) -> Iterator[list[str]]:
    """Names of the files beneath `directory`, some hundreds at a time."""
    try:
        directories, files = storage.listdir(directory)
    except FileNotFoundError:  # nothing was ever stored there
        return
    names = [f"{directory}/{name}" for name in files]
    for start in range(0, len(names), _BATCH):
        yield names[start : start + _BATCH]
    for inner in directories:
        yield from _batches(storage, f"{directory}/{inner}")


def _delete(storage: Storage, name: str, at: datetime) -> bool:
    """Whether it was old enough; looked at last, so that nothing fresh is under that name."""
    try:
        written = storage.get_modified_time(name)
    except FileNotFoundError:  # its owner has deleted it
        return False
    if written > at - ORPHANED_AFTER:
        return False
    storage.delete(name)
    _log.warning("orphan_deleted", file=name, written=written.isoformat(), effect="no row named it")
    return True
