"""The machines of a customer: which clients ask for leases, what they run, and what they say they have installed.

    seen(principal, "9f2c61…", "km-client/0.1.0", at=moment)      with every lease: an id, a version, a moment
    report(principal, MachineReport("9f2c61…", name="ann-laptop", plugins=[…]), at=moment)      what newer clients add
    remove(customer, "mac_4Kd…", at=moment, actor=…, revoke_key=True)

A client that never reports is known by its id alone. All of it is the client's own word: it is shown, and allows
nothing. What a machine may do is its key's part, so removing one can revoke that key; a machine whose key still works
comes back when it next asks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
from django.db import transaction
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast

from core.errors import InvalidRequest
from core.rows import by_public_id
from customers import api_keys, audit
from customers.errors import UnknownMachine
from customers.leases import MAX_MACHINE_CHARACTERS
from customers.models import ApiKey, Customer, Machine

if TYPE_CHECKING:
    from customers.authentication import Principal

MAX_MACHINES = 1_000  # a row each; whoever sends a new id with every request keeps the newest thousand
MAX_TIMES = 2**53 - 1  # what every program that reads JSON counts exactly
MAX_PLUGINS = 500  # as many as a provisioning may name
MOST_SHOWN = 200
AWAY_AFTER = timedelta(days=1)  # a lease's own life: by then it works without the server's word
_CLIENT = re.compile(r"km-client/([0-9A-Za-z.+-]{1,40})")

Text = Annotated[str, msgspec.Meta(max_length=80)]


class PluginReport(msgspec.Struct):
    """A plugin on a machine. `state` and `reason` are the client's words, `missing_features` what it lacks to run."""

    name: Text
    version: Text = ""
    state: Text = ""
    reason: Text = ""
    missing_features: Annotated[list[Text], msgspec.Meta(max_length=50)] = []


class RedactionReport(msgspec.Struct):
    """What a machine takes out: whether it does, how many patterns and exceptions of its own, and how often what."""

    enabled: bool = True
    patterns: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 0
    allowed: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 0
    redacted: Annotated[dict[Text, Annotated[int, msgspec.Meta(ge=0, le=MAX_TIMES)]], msgspec.Meta(max_length=500)] = {}


class MachineReport(msgspec.Struct):
    """What a client says of its machine. Other fields are ignored."""

    machine: str
    name: Text = ""
    os: Text = ""
    platform: Annotated[str, msgspec.Meta(max_length=40)] = ""
    client_version: Annotated[str, msgspec.Meta(max_length=40)] = ""
    plugins: Annotated[list[PluginReport], msgspec.Meta(max_length=MAX_PLUGINS)] = []
    redaction: RedactionReport | None = None


_REPORTS = msgspec.json.Decoder(list[PluginReport])


class Installed(NamedTuple):
    """A plugin as one machine has it."""

    machine: Machine
    plugin: PluginReport


class Whereabouts(NamedTuple):
    """Of one plugin: how often it is in each state, and the machines that were seen last."""

    states: Counter[str]
    shown: list[Installed]


def seen(principal: Principal, machine: str, user_agent: str, *, at: datetime) -> None:
    """Note that `machine` asked. A program of somebody else's has no version of ours."""
    found = _CLIENT.match(user_agent)
    version = {"client_version": found[1]} if found else {}
    _write(principal.customer_id, principal.key_id, machine, at, version)


def report(principal: Principal, told: MachineReport, *, at: datetime) -> None:
    """Keep what a client says of its machine, in place of what it said before. Raises `InvalidRequest`."""
    if not is_machine_id(told.machine):
        raise InvalidRequest(
            f"`machine` has 1 to {MAX_MACHINE_CHARACTERS} printable characters", "send the id the client made"
        )
    columns: dict[str, object] = {
        "name": clean(told.name),
        "os": clean(told.os),
        "platform": clean(told.platform),
        "client_version": clean(told.client_version),
        "plugins": [_cleaned(each) for each in told.plugins],
        "redaction": None if told.redaction is None else _redaction(told.redaction),
        "reported_at": at,
    }
    _write(principal.customer_id, principal.key_id, told.machine, at, columns)


def logged_in(key: ApiKey, machine: str, *, name: str, os: str, at: datetime) -> None:
    """Note that `machine` has a key of its own now."""
    _write(key.customer_id, key.public_id, machine, at, {"name": name, "os": os})


def is_machine_id(text: str) -> bool:
    """Whether a client may have made `text` for its machine."""
    return 0 < len(text) <= MAX_MACHINE_CHARACTERS and text.isprintable()


def clean(text: str) -> str:
    """As one line that a page may show and PostgreSQL may store: nothing invisible, no half of a surrogate pair."""
    return "".join(one if one.isprintable() else "�" for one in text)


def listed(customer: Customer) -> QuerySet[Machine]:
    """The machines of `customer`, the last seen first."""
    return Machine.objects.filter(customer=customer).order_by("-last_seen_at", "-id")


def get(customer: Customer, public_id: str) -> Machine:
    """One machine of `customer`. Raises `UnknownMachine`, also for one of somebody else's."""
    found = by_public_id(listed(customer), public_id)
    if found is None:
        raise UnknownMachine("there is no such machine", "the list of machines shows who is there")
    return found


def plugins_of(machine: Machine) -> list[PluginReport]:
    """What `machine` said it has, by name."""
    return sorted(msgspec.convert(machine.plugins, list[PluginReport]), key=lambda each: (each.name, each.version))


def redaction_of(machine: Machine) -> RedactionReport | None:
    """What `machine` said of its redaction; `None` for a client that does not."""
    return None if machine.redaction is None else msgspec.convert(machine.redaction, RedactionReport)


def installations(customer: Customer) -> dict[str, list[Installed]]:
    """Where each plugin is installed, by its name, the machine seen last first. One query.

    The reports are read as text and decoded at once: a thousand machines with eight plugins each are 20 ms.
    """
    found: dict[str, list[Installed]] = {}
    for machine in listed(customer).defer("plugins").annotate(told=Cast("plugins", TextField()))[:MAX_MACHINES]:
        for plugin in _REPORTS.decode(machine.told):
            found.setdefault(plugin.name, []).append(Installed(machine, plugin))
    return found


def whereabouts(customer: Customer, name: str) -> Whereabouts:
    """Where the plugin `name` is installed: of `MOST_SHOWN` the machine, of all how it stands there. Two queries; equal
    reports are read once."""
    rows = listed(customer).annotate(told=Cast("plugins", TextField())).values_list("pk", "told")[:MAX_MACHINES]
    read: dict[str, list[PluginReport]] = {}
    found: list[tuple[int, PluginReport]] = []
    for machine, told in rows:
        if (reports := read.get(told)) is None:
            reports = read[told] = [each for each in _REPORTS.decode(told) if each.name == name]
        found += [(machine, each) for each in reports]
    newest = found[:MOST_SHOWN]
    machines = listed(customer).defer("plugins", "redaction").in_bulk([machine for machine, _ in newest])
    shown = [Installed(machines[machine], each) for machine, each in newest if machine in machines]  # else just removed
    return Whereabouts(Counter(each.state for _, each in found), shown)


def plugin_states(customer: Customer) -> Counter[tuple[str, str]]:
    """On how many machines each (plugin, state) is, as they say. One query; equal reports are read once."""
    rows = listed(customer).annotate(told=Cast("plugins", TextField())).values_list("told", flat=True)[:MAX_MACHINES]
    found: Counter[tuple[str, str]] = Counter()
    for told, count in Counter(rows).items():
        for plugin in _REPORTS.decode(told):
            found[plugin.name, plugin.state] += count
    return found


def keys_of(customer: Customer, machines: Iterable[Machine]) -> dict[str, ApiKey]:
    """The keys they came with last, by their public id. One query."""
    rows = ApiKey.objects.filter(customer=customer, public_id__in={each.key_id for each in machines if each.key_id})
    return {row.public_id: row for row in rows}


def others_with_its_key(machine: Machine) -> Sequence[Machine]:
    """Whom revoking the machine's key would stop too."""
    if not machine.key_id:
        return []
    rows = Machine.objects.filter(customer_id=machine.customer_id, key_id=machine.key_id).exclude(pk=machine.pk)
    return list(rows.order_by("-last_seen_at")[:MOST_SHOWN])


def remove(
    customer: Customer, public_id: str, *, at: datetime, actor: str = audit.SYSTEM, revoke_key: bool = False
) -> Machine:
    """Forget a machine and, with `revoke_key`, refuse the key it came with. Raises `UnknownMachine`."""
    with transaction.atomic():
        machine = get(customer, public_id)
        key = keys_of(customer, [machine]).get(machine.key_id)
        if revoke_key and key is not None:
            api_keys.revoke(key, at=at, actor=actor, reason=f"its machine {machine} was removed")
        audit.record(
            "machine.removed",
            subject=f"machine:{machine.public_id}",
            at=at,
            actor=actor,
            customer=customer,
            name=machine.name,
            key=machine.key_id,
            key_revoked=revoke_key and key is not None,
        )
        Machine.objects.filter(pk=machine.pk).delete()
    return machine


def _write(customer_id: int, key_id: str, machine: str, at: datetime, columns: dict[str, object]) -> None:
    columns = {**columns, "last_seen_at": at, "key_id": key_id}
    rows = Machine.objects.filter(customer_id=customer_id, machine=machine)
    if rows.update(**columns):
        return
    with transaction.atomic():
        made = Machine(customer_id=customer_id, machine=machine, first_seen_at=at, **columns)
        Machine.objects.bulk_create([made], ignore_conflicts=True)  # another process of the same machine was first
        own = Machine.objects.filter(customer_id=customer_id).order_by("-last_seen_at", "-id")
        Machine.objects.filter(
            pk__in=list(own.values_list("pk", flat=True)[MAX_MACHINES : MAX_MACHINES + 100])
        ).delete()


def _redaction(told: RedactionReport) -> dict[str, object]:
    redacted = {clean(kind): times for kind, times in told.redacted.items()}
    return {"enabled": told.enabled, "patterns": told.patterns, "allowed": told.allowed, "redacted": redacted}


def _cleaned(plugin: PluginReport) -> dict[str, object]:
    return {
        "name": clean(plugin.name),
        "version": clean(plugin.version),
        "state": clean(plugin.state),
        "reason": clean(plugin.reason),
        "missing_features": [clean(each) for each in plugin.missing_features],
    }
