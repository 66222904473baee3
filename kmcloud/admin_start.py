"""The console's first page: what needs an operator now, each with how much, since when, and where to go.

    needs(user, at=moment)   → [Need("Reviews", 3, "the oldest waits 2 d 4 h", "/admin/…", "warn"), …]

Only what `user` may look at is counted. Nothing is listed that is well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Count, Min
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from core import shared_clock
from customers.models import SigningKey, Subscription
from customers.states import KeyState, State
from events.models import QuarantinedEntry
from kmcloud import admin_health, health
from plugins_registry import metrics
from plugins_registry.admin.queue import span
from plugins_registry.lifecycle import REVIEWED
from plugins_registry.lifecycle import State as RevisionState
from plugins_registry.models import Appeal, BuildState, CustomerBuild, PayloadBuild, Revision
from plugins_registry.people import Duty
from plugins_registry.signing import roles

TRIAL_ENDS_WITHIN = timedelta(days=7)
KEY_IS_OLD_AFTER = timedelta(days=180)  # of what signs tokens
LEFT_SHARE = 4  # warn when less than a quarter of a signature's life is left; all are renewed at half of it
_BY_PEOPLE = {"root": roles.ROOT_LIFETIME, "targets": roles.CATALOG_TARGETS_LIFETIME}
_ONLINE = {
    "security": roles.SECURITY_LIFETIME,
    "snapshot": roles.SNAPSHOT_LIFETIME,
    "timestamp": roles.TIMESTAMP_LIFETIME,
}


@dataclass(frozen=True, slots=True)
class Need:
    """One thing to do. `tone` is `warn` or `bad`."""

    title: str
    count: int
    words: str
    href: str
    tone: str = "warn"


def fill(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's `DASHBOARD_CALLBACK`."""
    context["title"] = "Console"
    context["needs"] = needs(request.user, at=shared_clock.now())
    context["may_see_health"] = request.user.has_perm(admin_health.PERMISSION)
    return context


def needs(user: User | AnonymousUser, *, at: datetime) -> list[Need]:
    """The gravest first. A query or two for each kind."""
    found = [
        need
        for permissions, look in _LOOKS
        if any(user.has_perm(permission) for permission in permissions)
        for need in look(at)
    ]
    return sorted(found, key=lambda need: need.tone != "bad")


def _health(at: datetime) -> Iterator[Need]:  # noqa: ARG001
    for name, check in health.health().checks.items():
        if check.status != health.OK and name != "quarantine":  # which is told apart
            yield Need(f"Health: {name}", 1, check.detail, reverse("console_health"), admin_health.TONES[check.status])


def _quarantine(at: datetime) -> Iterator[Need]:
    found = QuarantinedEntry.objects.aggregate(count=Count("pk"), oldest=Min("quarantined_at"))
    if found["count"]:
        words = f"requests could not be stored; the oldest since {span(at - found['oldest'])}"
        yield Need("Quarantine", found["count"], words, _list("events_quarantinedentry"), "bad")


def _reviews(at: datetime) -> Iterator[Need]:
    found = Revision.objects.filter(state__in=REVIEWED).aggregate(count=Count("pk"), oldest=Min("queued_at"))
    if found["count"]:
        words = f"wait for a review; the oldest for {span(at - found['oldest'])}"
        yield Need("Reviews", found["count"], words, _list("plugins_registry_revision"))
    for title, count, words, stage in (
        ("Appeals", Appeal.objects.filter(outcome="").count(), "wait to be heard", "appeals"),
        ("Checks", Revision.objects.filter(state=RevisionState.SCAN_ERROR).count(), "could not run", "scan_errors"),
        ("Signatures", Revision.objects.filter(state=RevisionState.CERTIFIED).count(), "wait for two", "signatures"),
    ):
        if count:
            yield Need(title, count, words, _list("plugins_registry_revision", stage=stage))


def _builds(at: datetime) -> Iterator[Need]:  # noqa: ARG001
    for model, title in ((PayloadBuild, "Payload builds"), (CustomerBuild, "Customers’ builds")):
        count = model.objects.filter(state=BuildState.FAILED).count()
        if count:
            address = _list(f"plugins_registry_{model._meta.model_name}", state__exact=BuildState.FAILED)
            yield Need(title, count, "failed; each has its log and a button to build again", address, "bad")


def _expiring(at: datetime) -> Iterator[Need]:
    for repository, role, expires in metrics.expiries():
        lifetime = _BY_PEOPLE.get(role) or _ONLINE.get(role) or roles.RELEASE_LIFETIME
        left = expires - at
        if left < lifetime / LEFT_SHARE:
            words = f"expired {span(-left)} ago" if left < timedelta() else f"expires in {span(left)}"
            signer = (
                "a worker of `signing` renews it"
                if role in _ONLINE
                else "people sign it: `manage.py tuf_rotate --renew`"
            )
            yield Need(
                f"Metadata: {repository} {role}",
                1,
                f"{words}; {signer}",
                _list("plugins_registry_repositorystate"),
                "bad" if left < timedelta() else "warn",
            )


def _subscriptions(at: datetime) -> Iterator[Need]:
    overdue = Subscription.objects.filter(state__in=(State.PAST_DUE, State.UNPAID)).count()
    if overdue:
        address = _list("customers_subscription", state__exact=State.PAST_DUE)
        yield Need("Payments", overdue, "subscriptions are past due or unpaid", address)
    ending = Subscription.objects.filter(state=State.TRIALING, trial_ends_at__lte=at + TRIAL_ENDS_WITHIN).count()
    if ending:
        address = _list("customers_subscription", state__exact=State.TRIALING)
        yield Need("Trials", ending, f"end within {TRIAL_ENDS_WITHIN.days} days, or have ended", address)


def _signing_keys(at: datetime) -> Iterator[Need]:
    old = SigningKey.objects.filter(state=KeyState.ACTIVE, activates_at__lte=at - KEY_IS_OLD_AFTER).first()
    if old is not None:
        words = f"{old.kid} has signed for {(at - old.activates_at).days} days: rotate it, nobody notices"
        yield Need("Signing key", 1, words, _list("customers_signingkey"))


def _list(name: str, **asked: str) -> str:
    return reverse(f"admin:{name}_changelist") + (f"?{urlencode(asked)}" if asked else "")


_LOOKS: tuple[tuple[tuple[str, ...], Callable[[datetime], Iterator[Need]]], ...] = (
    ((admin_health.PERMISSION,), _health),
    (("events.view_quarantinedentry",), _quarantine),
    (("plugins_registry.view_revision", *(duty.value for duty in Duty)), _reviews),
    (("plugins_registry.view_payloadbuild",), _builds),
    (("plugins_registry.view_repositorystate",), _expiring),
    (("customers.view_subscription",), _subscriptions),
    (("customers.view_signingkey",), _signing_keys),
)
