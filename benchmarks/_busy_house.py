"""What a busy customer has beside events: people, keys, machines, an audit log, alerts. After Django is set up.

    fill(customer, at=moment)

Rows are written as the service would have left them, many at a time; the audit log's chain is a whole one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User

from alerts.models import Attempt, Delivery, Destination, Incident, Kind, Rule
from benchmarks._busy_traffic import SERVERS
from customers import api_keys
from customers.audit_chain import GENESIS, hash_of, plain
from customers.models import ApiKey, AuditChain, AuditEntry, Customer, Invitation, Machine, Member
from events.models import DailyUsage, QuarantinedEntry

MEMBERS, INVITATIONS, KEYS = 50, 20, 20
MACHINES, PLUGINS_A_MACHINE = 1_000, 8
AUDIT_ENTRIES = 50_000
RULES, DESTINATIONS, INCIDENTS, OPEN_INCIDENTS, DELIVERIES = 50, 10, 2_000, 10, 4_000
QUARANTINED = 2_000
_BATCH = 2_000
_MINUTE = timedelta(minutes=1)


def fill(customer: Customer, *, at: datetime) -> None:
    """All of it."""
    members = _people(customer, at)
    keys = [api_keys.issue(customer, f"laptop {number}", at=at).key for number in range(KEYS)]
    _machines(customer, keys, at)
    _audit(customer, at)
    _alerts(customer, members, at)
    _usage(customer, at)
    _quarantine(customer, at)


def _people(customer: Customer, at: datetime) -> list[Member]:
    users = User.objects.bulk_create([User(username=f"member-{number}@bench.example") for number in range(MEMBERS)])
    Invitation.objects.bulk_create(
        Invitation(
            customer=customer,
            email=f"new-{number}@bench.example",
            role=Member.Role.VIEWER,
            digest=f"{number:064d}",
            invited_by="user:member-0@bench.example",
            expires_at=at + timedelta(days=7),
        )
        for number in range(INVITATIONS)
    )
    return Member.objects.bulk_create([Member(customer=customer, user=user, created_at=at) for user in users])


def _machines(customer: Customer, keys: Sequence[ApiKey], at: datetime) -> None:
    plugins = [
        {
            "name": f"plugin-{number:04d}",
            "version": "1.9.0",
            "state": "running" if number % 3 else "disabled",
            "reason": "" if number % 3 else "missing_features",
            "missing_features": [] if number % 3 else ["risk_analysis"],
        }
        for number in range(PLUGINS_A_MACHINE)
    ]
    Machine.objects.bulk_create(
        [
            Machine(
                customer=customer,
                machine=f"{number:032x}",
                name=f"laptop-{number}",
                os="Ubuntu 24.04",
                platform="linux-amd64",
                client_version="0.1.0",
                plugins=plugins,
                key_id=keys[number % len(keys)].public_id,
                first_seen_at=at - timedelta(days=30),
                last_seen_at=at - number * _MINUTE,
                reported_at=at - number * _MINUTE,
            )
            for number in range(MACHINES)
        ],
        batch_size=_BATCH,
    )


def _audit(customer: Customer, at: datetime) -> None:
    """Behind what is there already."""
    chain, _ = AuditChain.objects.get_or_create(key=customer.public_id)
    entries, head = chain.entries, chain.head or GENESIS
    rows = []
    for number in range(AUDIT_ENTRIES):
        entry = AuditEntry(
            at=at - (AUDIT_ENTRIES - number) * _MINUTE / 2,
            actor=f"user:member-{number % MEMBERS}@bench.example",
            action=("api_key.issued", "api_key.revoked", "member.role_changed", "incident.acknowledged")[number % 4],
            customer_public_id=customer.public_id,
            subject=f"api_key:{number:020d}",
            details=plain({"name": f"laptop {number}", "scopes": ["events:write"]}),
            number=entries + 1,
            previous=head,
        )
        entries, head = entry.number, hash_of(vars(entry))
        entry.hash = head
        rows.append(entry)
    AuditEntry.objects.bulk_create(rows, batch_size=_BATCH)
    AuditChain.objects.filter(pk=chain.pk).update(entries=entries, head=head)


def _alerts(customer: Customer, members: Sequence[Member], at: datetime) -> None:
    places = [
        Destination(customer=customer, channel=Destination.Channel.EMAIL, name=f"People {number}", created_at=at)
        for number in range(DESTINATIONS)
    ]
    Destination.objects.bulk_create(places)
    for place in places:
        place.members.set(members)
    rules = [
        Rule(customer=customer, due_at=at + timedelta(days=1), created_at=at, **_condition(number))
        for number in range(RULES)
    ]
    Rule.objects.bulk_create(rules)
    for rule in rules:
        rule.destinations.set(places[:3])
    incidents = Incident.objects.bulk_create(_incidents(customer, rules, at), batch_size=_BATCH)
    deliveries = Delivery.objects.bulk_create(_deliveries(customer, places, incidents, at), batch_size=_BATCH)
    Attempt.objects.bulk_create(
        [Attempt(delivery=each, at=at, status=250, duration_ms=31.0) for each in deliveries], batch_size=_BATCH
    )


def _condition(number: int) -> dict[str, Any]:
    kind = (Kind.ERRORS, Kind.LATENCY)[number % 2]
    server = SERVERS[number % len(SERVERS)]
    return {"kind": kind, "name": f"Rule {number}", "server": server, "threshold": 50.0, "window_minutes": 15}


def _incidents(customer: Customer, rules: Sequence[Rule], at: datetime) -> Iterator[Incident]:
    for number in range(INCIDENTS):
        opened_at, is_open = at - (INCIDENTS - number) * 20 * _MINUTE, number >= INCIDENTS - OPEN_INCIDENTS
        yield Incident(
            customer=customer,
            rule=rules[number % RULES],
            opened_at=opened_at,
            value=60.0,
            worst=75.0,
            counted=840,
            resolved_at=None if is_open else opened_at + 10 * _MINUTE,
            resolved_because="" if is_open else "it is back below the threshold",
            **_condition(number % RULES),
        )


def _deliveries(
    customer: Customer, places: Sequence[Destination], incidents: Sequence[Incident], at: datetime
) -> Iterator[Delivery]:
    for number in range(DELIVERIES):
        yield Delivery(
            customer=customer,
            destination=places[number % DESTINATIONS],
            incident=incidents[number % INCIDENTS],
            about=Delivery.About.OPENED,
            address=f"member-{number % MEMBERS}@bench.example",
            subject="Error rate of git",
            body="x" * 2_000,
            state=Delivery.State.DELIVERED,
            tries=1,
            next_at=at,
            give_up_at=at,
            created_at=at,
            finished_at=at,
        )


def _usage(customer: Customer, at: datetime) -> None:
    days = [at.date() - timedelta(days=number) for number in range(90)]
    DailyUsage.objects.bulk_create(
        DailyUsage(customer_id=customer.pk, day=day, accepted=34_000, stored=34_000, bytes=20_000_000) for day in days
    )


def _quarantine(customer: Customer, at: datetime) -> None:
    QuarantinedEntry.objects.bulk_create(
        QuarantinedEntry(
            customer_id=customer.pk,
            received_at=at,
            quarantined_at=at,
            kind=QuarantinedEntry.Kind.EVENTS,
            events=100,
            attempts=8,
            retry_at=at,
            error="DataError: a message that no column can hold",
            body=b"x" * 20_000,
        )
        for _ in range(QUARANTINED)
    )
