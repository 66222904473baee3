"""`/app/plugins`: the catalog as this customer may know it, a plugin with its versions, a version with its proofs.

    /app/plugins?q=slow                                      the list, by name
    /app/plugins/catalog/plg_8uY2…                           one: versions, where it is installed, how to get it
    /app/plugins/catalog/plg_8uY2…/rev_eOZ9…                 a version: who certified what, and which bytes

Everybody of the customer may read all of it. Another customer's private plugin is 404, as one that never was.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from core.clock import now
from customers import machines
from customers.machines import Installed
from customers.models import Customer
from customers.queries import entitlement_of
from dashboard import plugin_words
from dashboard.boundary import member_page
from dashboard.plugin_words import Asked, Standing
from plugins_registry import proofs, shop
from plugins_registry.errors import PluginNotFound
from plugins_registry.models import BuildState, CustomerBuild, Revision
from plugins_registry.shop import Offer
from plugins_registry.source_pages import visible


class Badge(NamedTuple):
    """A word and its tone."""

    words: str
    tone: str


class Place(NamedTuple):
    """Where a plugin is installed, and how it stands there."""

    installed: Installed
    standing: Standing


class Row(NamedTuple):
    """A plugin in the list: installed on so many `machines`, on `unwell` of which it does not run as it should."""

    offer: Offer
    description: str
    asked: list[Asked]
    plan: Badge
    machines: int
    unwell: int


@member_page
def plugins(request: HttpRequest, customer: Customer) -> HttpResponse:
    """A page of the catalog."""
    at, search = now(), request.GET.get("q", "")
    entitlement = entitlement_of(customer, at=at)
    page = shop.offers(customer, entitlement, search=search, cursor=request.GET.get("after") or None)
    states = machines.plugin_states(customer)
    context = {
        "customer": customer,
        "section": "plugins",
        "rows": [_row(offer, states) for offer in page.rows],
        "next": page.next,
        "search": search,
        "entitlement": entitlement,
        "now": at,
    }
    return render(request, "dashboard/plugins.html", context)


@member_page
def plugin(request: HttpRequest, customer: Customer, plugin_id: str) -> HttpResponse:
    """One plugin."""
    at = now()
    offer = shop.offer(customer, entitlement_of(customer, at=at), plugin_id)
    name = offer.plugin.name
    where = machines.whereabouts(customer, name)
    context = {
        "customer": customer,
        "section": "plugins",
        "row": _row(offer, Counter({(name, state): count for state, count in where.states.items()})),
        "offer": offer,
        "installed": [Place(each, plugin_words.standing(each.plugin)) for each in where.shown],
        "more": max(0, where.states.total() - machines.MOST_SHOWN),
        "facts": _facts(offer),
        "versions": [(revision, _state(revision)) for revision in offer.versions],
        "builds": [(build, _build_state(build)) for build in offer.builds],
        "nothing": plugin_words.NOTHING,
        "now": at,
    }
    return render(request, "dashboard/plugin.html", context)


@member_page
def version(request: HttpRequest, customer: Customer, plugin_id: str, revision_id: str) -> HttpResponse:
    """One version of it."""
    at = now()
    offer = shop.offer(customer, entitlement_of(customer, at=at), plugin_id)
    found = next((each for each in offer.versions if each.public_id == revision_id), None)
    if found is None:
        raise PluginNotFound("there is no such version of it", "its page lists those there are")
    context = {
        "customer": customer,
        "section": "plugins",
        "offer": offer,
        "revision": found,
        "state": _state(found),
        "asked": plugin_words.permissions(found.manifest),
        "nothing": plugin_words.NOTHING,
        "proof": proofs.of(found),
        "builds": [(build, _build_state(build)) for build in offer.builds if build.payload.revision_id == found.pk],
        "now": at,
    }
    return render(request, "dashboard/plugin_version.html", context)


def _row(offer: Offer, states: Counter[tuple[str, str]]) -> Row:
    counts = {state: count for (name, state), count in states.items() if name == offer.plugin.name}
    unwell = sum(count for state, count in counts.items() if not plugin_words.is_well(state))
    manifest, plan = offer.manifest, _plan(offer)
    asked = plugin_words.permissions(manifest)
    return Row(offer, visible(manifest.description), asked, plan, sum(counts.values()), unwell)


def _plan(offer: Offer) -> Badge:
    """Whether the customer may run it now."""
    if offer.stopped:
        return Badge(offer.stopped.capitalize(), "bad")
    if not offer.missing:
        return Badge("In your plan", "good")
    return Badge(f"Needs {offer.tier.name}" if offer.tier else "In no plan", "warn")


def _facts(offer: Offer) -> list[tuple[str, str]]:
    manifest, features = offer.manifest, offer.manifest.features
    facts = {
        "Publisher": str(offer.plugin.owner or "Kilometers"),
        "Author": manifest.author,
        "Licence": manifest.license,
        "Runs with": f"km-client {manifest.compatibility.kilometers_cli.text}",
        "Needs": ", ".join(features.required) or "nothing beyond the free plan",
        "Uses if there": ", ".join(features.optional) or "nothing else",
    }
    return [(name, visible(value)) for name, value in facts.items()]


def _state(revision: Revision) -> Badge:
    state = revision.get_state_display()
    return Badge(state.capitalize(), "good" if revision.state == "published" else "bad")


def _build_state(build: CustomerBuild) -> Badge:
    if build.revoked_at:
        return Badge("Revoked", "bad")
    tones = {BuildState.BUILT: "good", BuildState.FAILED: "bad"}
    return Badge(build.get_state_display().capitalize(), tones.get(BuildState(build.state), ""))
