"""The made-up people of the pictures: Acme's members, keys, machines and alerts; other customers; the staff."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from django.contrib.auth.models import Permission, User

from alerts import destinations, rules, sending
from alerts.evaluator import evaluate
from customers import accounts, api_keys, audit, invitations, machines, subscriptions
from customers.authentication import Principal
from customers.machines import MachineReport, PluginReport
from customers.models import ApiKey, Customer, Member
from customers.states import Action
from events.models import QuarantinedEntry
from events.sweeper import beat
from scripts.demo_story import OWNER, PASSWORD, STAFF

REVIEW = ("review_security", "review_code", "yank_revision", "block_revision", "decide_appeal")
FAILED = "ValueError: a NUL character at byte 18,204 of `message`"


def customers(at: datetime) -> dict[str, Customer]:
    """By name: Acme, and others in every state that the console tells of."""
    year = at - timedelta(days=212)
    made = {
        "Kilometers": accounts.create_customer("Kilometers", "enterprise", at=year - timedelta(days=9)),
        "Acme Robotics": accounts.create_customer("Acme Robotics", "pro", at=year),
        "Northwind": accounts.create_customer("Northwind", "enterprise", at=year + timedelta(days=31)),
        "Fairwind Labs": accounts.create_customer("Fairwind Labs", "pro", at=year + timedelta(days=90)),
        "Globex": accounts.create_customer("Globex", "pro", at=year + timedelta(days=140)),
        "Initech": accounts.create_customer("Initech", "free", at=year + timedelta(days=171)),
        "Umbra Health": accounts.create_customer(
            "Umbra Health", "enterprise", at=at - timedelta(days=9), trial_ends_at=at + timedelta(days=5)
        ),
    }
    subscriptions.transition(
        made["Globex"].subscription, Action.MISS_PAYMENT, at=at - timedelta(days=6), actor="user:ops"
    )
    return made


def acme(customer: Customer, at: datetime) -> None:
    """Its members, an invitation, keys of every state, three machines."""
    begun = customer.created_at
    roles = {OWNER: "owner", "ben@acme.example": "admin", "chiara@acme.example": "member", "dai@acme.example": "viewer"}
    for days, (email, role) in enumerate(roles.items()):
        accounts.add_member(customer, email, PASSWORD, role, at=begun + timedelta(days=days))
    ann = Member.objects.get(user__username=OWNER)
    invitations.invite(customer, "eva@acme.example", "member", by=ann, at=at - timedelta(days=2))
    laptop = api_keys.issue(customer, "Ann’s laptop", at=at - timedelta(days=80), actor=f"user:{OWNER}")
    desk = api_keys.issue(customer, "Ben’s desktop", at=at - timedelta(days=41), actor=f"user:{OWNER}")
    pipeline = api_keys.issue(customer, "CI", at=at - timedelta(days=20), actor="user:ben@acme.example")
    api_keys.rotate(pipeline.key, at=at - timedelta(hours=20), actor="user:ben@acme.example")
    old = api_keys.issue(customer, "Demo stand", at=at - timedelta(days=30), kind="test", actor=f"user:{OWNER}")
    api_keys.revoke(old.key, at=at - timedelta(days=3), actor=f"user:{OWNER}", reason="the fair is over")
    who = Principal(
        customer.pk,
        customer.public_id,
        customer.name,
        "pro",
        frozenset(),
        None,
        90,
        frozenset(),
        1,
        laptop.key.public_id,
    )
    radar, stats = PluginReport("risk-radar", "1.1.0", "running"), PluginReport("tool-stats", "0.2.1", "running")
    barred = PluginReport("old-faithful", "0.9.0", "blocked", "plugin_blocked")
    lacking = PluginReport("fleet-maps", "1.4.0", "not_entitled", "", ["advanced_analytics"])
    for name, minutes, key, plugins in (
        ("ann-laptop", 2, laptop, [radar, stats, lacking]),
        ("ben-desktop", 51, desk, [radar, barred]),
        ("ci-runner-7", 3 * 24 * 60, pipeline, [stats]),
    ):
        told = MachineReport(f"{name:a<32}".replace("-", "a"), name, "Linux 6.12", "linux-amd64", "0.1.0", plugins)
        machines.report(replace(who, key_id=key.key.public_id), told, at=at - timedelta(minutes=minutes))
        ApiKey.objects.filter(pk=key.key.pk).update(last_used_at=at - timedelta(minutes=minutes))


def watched(customer: Customer, at: datetime) -> None:
    """Rules and destinations, and what the evaluator found minute by minute in the last hours."""
    begun, actor = at - timedelta(hours=4), f"user:{OWNER}"
    team = [member.pk for member in Member.objects.filter(customer=customer, role__in=("owner", "admin"))]
    letter = destinations.add_email(customer, "On call", team, at=begun, actor=actor)
    hook, _ = destinations.add_webhook(
        customer, "Operations room", "https://hooks.acme.example/kilometers", at=begun, actor=actor
    )
    for kind, name, columns in (
        (
            "errors",
            "Errors of postgres",
            {"server": "postgres", "threshold": 10.0, "window_minutes": 10, "at_least": 10},
        ),
        ("latency", "Slow answers", {"threshold": 4_000.0, "window_minutes": 15}),
        ("definition", "A tool changed", {}),
        ("quota", "Quota nearly used", {}),
    ):
        draft = replace(
            rules.defaults(kind), name=name, destinations=[letter, hook][: 2 if kind != "quota" else 1], **columns
        )
        rules.create(customer, draft, at=begun, actor=actor)
    for minutes in range(239, -1, -1):
        moment = at - timedelta(minutes=minutes)
        evaluate(clock=lambda moment=moment: moment)  # type: ignore[misc]
        sending.send_due(clock=lambda moment=moment: moment)  # type: ignore[misc]


def staff(at: datetime, customer: Customer) -> list[User]:
    """The operator, and two reviewers; a request that could not be stored."""
    User.objects.create_superuser(STAFF, STAFF, PASSWORD, first_name="Ola")
    reviewers = [
        User.objects.create_user(f"{name}@kilometers.example", password=PASSWORD, is_staff=True)
        for name in ("rita", "sam")
    ]
    for reviewer in reviewers:
        reviewer.user_permissions.set(
            Permission.objects.filter(content_type__app_label="plugins_registry", codename__in=REVIEW)
        )
    QuarantinedEntry.objects.create(
        customer_id=customer.pk, received_at=at - timedelta(hours=5), kind="events", events=12, attempts=4,
        retry_at=at, error=FAILED, body=b'{"events": []}', quarantined_at=at - timedelta(hours=4),
    )  # fmt: skip
    for part in ("worker", "sweeper", "web"):
        beat(part, now=at)
    audit.record("staff.signed_in", subject=f"user:{STAFF}", at=at - timedelta(hours=1), actor=f"user:{STAFF}")
    return reviewers


def owners(by_name: Mapping[str, Customer]) -> Mapping[str, Customer]:
    """Who writes plugins."""
    return {name: by_name[name] for name in ("Kilometers", "Acme Robotics", "Northwind", "Fairwind Labs")}
