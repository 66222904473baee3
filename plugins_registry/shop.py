"""The plugins as one customer may know them: what there is, what it asks, who vouched for it, whether it may run here.

    offers(customer, entitlement, search="slow")     → [Offer(name="slow-tools", newest=…, missing=frozenset(), …), …]
    offer(customer, entitlement, "plg_8uY…")         one, with every version that was ever published

A plugin is listed once a version of it was published; a private one exists for nobody but its owner. What was stopped
stays listed with why: whoever has it installed must find it. Reading only; what may run is the director's to say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, TypeVar

import msgspec
from django.db.models import Q
from km_protocol.kmpkg.manifest import Manifest
from km_protocol.kmpkg.versions import Version as Number

from core import paging
from core.rows import by_public_id
from customers.entitlements import Entitlement
from customers.models import Customer, Tier
from plugins_registry.errors import PluginNotFound
from plugins_registry.lifecycle import State
from plugins_registry.models import Block, CustomerBuild, Plugin, Revision
from plugins_registry.queries import RowNumber, visible_plugins
from plugins_registry.repositories.shelf import demands_of

Row = TypeVar("Row")

SHOWN = (State.PUBLISHED, State.QUARANTINED, State.YANKED, State.BLOCKED)
PAGE_SIZE = 50
MAX_SEARCH_CHARACTERS = 80
PluginName = Annotated[str, msgspec.Meta(pattern="^[0-9A-Za-z._-]{1,100}$")]
"""What a cursor may hold: nothing that PostgreSQL cannot compare."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One plugin. `newest` is its highest version that is published, or, where none is, the highest that was.

    `missing` are the features it requires and the customer does not have, `tier` the smallest that has them. `blocks`
    are those in force. `builds` are the customer's packages of any version.
    """

    plugin: Plugin
    newest: Revision
    versions: tuple[Revision, ...]
    missing: frozenset[str]
    tier: Tier | None
    blocks: tuple[Block, ...] = ()
    builds: tuple[CustomerBuild, ...] = field(default=())

    @property
    def manifest(self) -> Manifest:
        return self.newest.manifest

    @property
    def stopped(self) -> str:
        """Why nobody may run the newest: `yanked`, `quarantined`, `blocked`; empty while it is published."""
        if self.newest.state != State.PUBLISHED:
            return str(self.newest.get_state_display())
        held = [each for each in self.blocks if each.version_id in (None, self.newest.version_id) and not each.sha256]
        return "blocked" if held else ""


def offers(
    customer: Customer, entitlement: Entitlement, *, search: str = "", cursor: str | None = None
) -> paging.Page[Offer]:
    """A page of plugins by name, whose name contains `search`, each with its newest version alone and without builds.
    Six queries at most. Raises `InvalidCursor`."""
    rows = visible_plugins(customer).filter(versions__revisions__state__in=SHOWN).distinct().order_by("name", "id")
    if wanted := search[:MAX_SEARCH_CHARACTERS].strip().replace("\0", "").lower():
        rows = rows.filter(name__contains=wanted)
    if cursor:
        name, number = paging.decode(cursor, tuple[PluginName, RowNumber])
        rows = rows.filter(Q(name__gt=name) | Q(name=name, pk__gt=number))
    plugins = paging.paginate(
        list(rows.select_related("owner")[: PAGE_SIZE + 1]), PAGE_SIZE, lambda row: (row.name, row.pk)
    )
    return paging.Page(_offers(entitlement, plugins.rows, _newest(plugins.rows), defaultdict(list)), plugins.next)


def offer(customer: Customer, entitlement: Entitlement, public_id: str) -> Offer:
    """One plugin. Raises `PluginNotFound`, also for a private one of somebody else's, and for one never published."""
    found_row = by_public_id(visible_plugins(customer).select_related("owner"), public_id)
    plugins = [] if found_row is None else [found_row]
    found = _offers(entitlement, plugins, _versions(plugins), _builds(customer, plugins))
    if not found:
        raise PluginNotFound("there is no such plugin", "the catalog lists those there are")
    return found[0]


def _offers(
    entitlement: Entitlement,
    plugins: Sequence[Plugin],
    versions: Mapping[int, Sequence[Revision]],
    builds: Mapping[int, Sequence[CustomerBuild]],
) -> list[Offer]:
    blocks, tiers = _blocks(plugins), cache(_tiers)  # asked where something is missing
    found = []
    for plugin in plugins:
        if not (rows := versions.get(plugin.pk)):
            continue
        newest = _first(rows, lambda row: row.state)
        required = demands_of(newest.manifest_json).required
        missing = required - entitlement.features
        tier = next((tier for tier, features in tiers() if required <= features), None) if missing else None
        held, own = tuple(blocks[plugin.pk]), tuple(builds.get(plugin.pk, ()))
        found.append(Offer(plugin, newest, tuple(rows), missing, tier, held, own))
    return found


def _versions(plugins: Sequence[Plugin]) -> dict[int, list[Revision]]:
    """The revisions that were published, the highest version first, by plugin."""
    rows = Revision.objects.filter(version__plugin__in=plugins, state__in=SHOWN).select_related("version__plugin")
    found: dict[int, list[Revision]] = defaultdict(list)
    for row in rows.order_by("-id"):
        found[row.version.plugin_id].append(row)
    for group in found.values():
        group.sort(key=lambda row: _rank(row.version.number), reverse=True)
    return found


def _newest(plugins: Sequence[Plugin]) -> dict[int, list[Revision]]:
    """As `_versions`, of each plugin the one to show: no other's manifest is read."""
    light: dict[int, list[tuple[int, str, str]]] = defaultdict(list)
    rows = Revision.objects.filter(version__plugin__in=plugins, state__in=SHOWN).order_by("-id")
    for plugin, pk, number, state in rows.values_list("version__plugin_id", "pk", "version__number", "state"):
        light[plugin].append((pk, number, state))
    chosen = []
    for group in light.values():
        group.sort(key=lambda row: _rank(row[1]), reverse=True)
        chosen.append(_first(group, lambda row: row[2])[0])
    found = Revision.objects.filter(pk__in=chosen).select_related("version__plugin")
    return {revision.version.plugin_id: [revision] for revision in found}


def _first(rows: Sequence[Row], state: Callable[[Row], str]) -> Row:
    """Of `rows`, the highest first, the one to show."""
    return next((row for row in rows if state(row) == State.PUBLISHED), rows[0])


def _rank(number: str) -> tuple[bool, Number]:
    parsed = Number.parse(number)
    return not parsed.prerelease, parsed


def _blocks(plugins: Sequence[Plugin]) -> dict[int, list[Block]]:
    found: dict[int, list[Block]] = defaultdict(list)
    for block in Block.objects.filter(plugin__in=plugins, lifted_at__isnull=True).select_related("version"):
        found[block.plugin_id].append(block)
    return found


def _builds(customer: Customer, plugins: Iterable[Plugin]) -> dict[int, list[CustomerBuild]]:
    rows = CustomerBuild.objects.filter(customer=customer, payload__revision__version__plugin__in=list(plugins))
    found: dict[int, list[CustomerBuild]] = defaultdict(list)
    for build in rows.select_related("payload__revision__version").defer("log", "payload__log").order_by("-id"):
        found[build.payload.revision.version.plugin_id].append(build)
    return found


def _tiers() -> list[tuple[Tier, frozenset[str]]]:
    """The smallest first, with what each includes."""
    rows = Tier.objects.prefetch_related("features").order_by("rank", "code")
    return [(tier, frozenset(each.code for each in tier.features.all())) for tier in rows]
