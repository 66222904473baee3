"""`blocklist.json`: what must not run, whatever a director lists; signed by the server, so in force at once.

    {"version": 7, "blocked": [{"name": "slow-tools", "version": "1.2.0", "sha256": null, "level": "hard",
                                "reason": "reads files it does not declare", "state": "blocked",
                                "payloads": ["3f9a…"]}]}

`payloads` are those that a block of a plugin or a version covers, for whoever has nothing but a package. What was
yanked or quarantined is listed too: the reviewers' signatures over it go only with their next release. A private plugin
is listed by its digests alone, since everybody may read this.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from plugins_registry.models import Block, PayloadBuild, Plugin, Revision
from plugins_registry.states import State

BLOCKED, YANKED = "blocked", "yanked"
_TAKEN_BACK = (State.YANKED, State.QUARANTINED)


def write(version: int) -> bytes:
    """The file of the catalog's version `version`."""
    lines = [*_blocked(), *_taken_back()]
    return json.dumps({"version": version, "blocked": lines}, separators=(",", ":")).encode()


def _blocked() -> Iterator[dict[str, Any]]:
    for row in Block.objects.filter(lifted_at__isnull=True).select_related("plugin", "version").order_by("id"):
        said = {"level": row.level, "reason": row.reason, "state": BLOCKED}
        number = row.version.number if row.version else None
        if row.sha256:
            yield _line(row.plugin, said, number, row.sha256)
            continue
        covered = PayloadBuild.objects.filter(revision__version__plugin=row.plugin_id)
        if row.version_id:
            covered = covered.filter(revision__version=row.version_id)
        yield from _lines(row.plugin, said, number, covered)


def _taken_back() -> Iterator[dict[str, Any]]:
    said = {"level": Block.Level.HARD, "reason": "", "state": YANKED}
    for row in Revision.objects.filter(state__in=_TAKEN_BACK).select_related("version__plugin").order_by("id"):
        covered = PayloadBuild.objects.filter(revision=row)
        yield from _lines(row.version.plugin, said, row.version.number, covered)


def _lines(
    plugin: Plugin, said: dict[str, Any], number: str | None, covered: QuerySet[PayloadBuild]
) -> Iterator[dict[str, Any]]:
    rows = covered.exclude(payload_digest="").order_by("payload_digest").values_list("payload_digest", flat=True)
    digests = list(rows.distinct())
    if plugin.visibility == Plugin.Visibility.PUBLIC:
        yield {**_line(plugin, said, number, None), "payloads": digests}
    else:
        yield from (_line(plugin, said, number, digest) for digest in digests)


def _line(plugin: Plugin, said: dict[str, Any], number: str | None, sha256: str | None) -> dict[str, Any]:
    if plugin.visibility == Plugin.Visibility.PUBLIC:
        return {"name": plugin.name, "version": number, "sha256": sha256, **said}
    return {"name": "", "version": None, "sha256": sha256, **said, "reason": ""}
