"""What a change of a subscription means for plugins: which stop, which may run (`customers.what_if`)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from customers import machines
from customers.entitlements import Entitlement
from customers.models import Customer
from customers.what_if import GAIN, LOSS, Effect
from plugins_registry.models import PayloadBuild
from plugins_registry.repositories.provisioning import PLATFORMS, newest
from plugins_registry.repositories.shelf import demands_of, payloads_for


def effects(customer: Customer, before: Entitlement, after: Entitlement, at: datetime) -> Iterator[Effect]:  # noqa: ARG001
    """By plugin, whether any of its published versions may run. Five queries, or none where no feature changes."""
    if before.features == after.features:
        return
    runs, would = (_by_name(customer, each) for each in (before, after))
    installed = machines.installations(customer)
    for name in sorted(runs.keys() - would.keys()):
        needed = ", ".join(sorted(demands_of(runs[name].revision.manifest_json).required - after.features))
        count = len({each.machine.pk for each in installed.get(name, ())})
        where = f"on {count} machine{'s' if count != 1 else ''} now" if count else "on no machine that says so"
        yield Effect(LOSS, f"the plugin {name} stops with the next refresh: it needs {needed}; {where}")
    for name in sorted(would.keys() - runs.keys()):
        yield Effect(GAIN, f"the plugin {name} may run")


def _by_name(customer: Customer, entitlement: Entitlement) -> dict[str, PayloadBuild]:
    payloads = newest(payloads_for(customer, PLATFORMS, entitlement))
    return {payload.revision.version.plugin.name: payload for payload in payloads}
