"""Asking for builds: what is there already is not built again, and two who ask at once get one build.

request_payloads(revision)               a row for each platform, queued on commit
request_build(payload, customer, at=…)   the customer's package; built again once it failed, was revoked or ran out
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from customers import audit
from customers.models import Customer
from plugins_registry.building.claims import UNFINISHED
from plugins_registry.building.customer_builds import is_embedded
from plugins_registry.building.wakeup import BUILD, PAYLOAD, SIGN, after_commit
from plugins_registry.lifecycle import State
from plugins_registry.models import BuildState, CustomerBuild, PayloadBuild, Revision, StateChange
from plugins_registry.repositories.dirty import mark_dirty

RENEW_BEFORE = timedelta(days=14)  # a laptop that is away for two weeks still has a package that is good
_ANEW = {"state": BuildState.QUEUED, "claimed_until": None, "build_key_public": "", "package": "", "sha256": ""}
_ANEW_TIMES = {"size": None, "built_at": None, "expires_at": None, "revoked_at": None}


def follow(change: StateChange) -> None:
    """Reviewers sign for a payload's digest, so it is built when the reviews begin (a hook of `publishing_hooks`)."""
    if change.after in {State.SECURITY_REVIEW, State.CERTIFIED, State.APPROVED}:
        request_payloads(change.revision)


def request_payloads(revision: Revision) -> list[PayloadBuild]:
    """The rows, in the order of the revision's platforms. One that failed is tried again."""
    rows = []
    for platform in revision.platforms:
        row, _ = PayloadBuild.objects.get_or_create(
            revision=revision, platform=platform, defaults={"source_sha256": revision.source_id}
        )
        PayloadBuild.objects.filter(pk=row.pk, state=BuildState.FAILED).update(state=BuildState.QUEUED)
        if row.state != BuildState.BUILT:
            after_commit(PAYLOAD, row.pk)
        rows.append(row)
    return rows


@transaction.atomic
def request_build(payload: PayloadBuild, customer: Customer, *, at: datetime) -> CustomerBuild:
    """The row, whatever its state: `built` when there is a package that is good."""
    row, _ = CustomerBuild.objects.get_or_create(payload=payload, customer=customer)
    spent = Q(state=BuildState.FAILED) | Q(revoked_at__isnull=False) | Q(expires_at__lte=at + RENEW_BEFORE)
    if CustomerBuild.objects.filter(spent, pk=row.pk).update(**_ANEW, **_ANEW_TIMES):
        row.refresh_from_db()
    if row.state in UNFINISHED:
        after_commit(BUILD, row.pk)
    return row


@transaction.atomic
def revoke(build: CustomerBuild, *, actor: str, at: datetime) -> None:
    """Its key proves nothing from now on. The next request makes another build."""
    if CustomerBuild.objects.filter(pk=build.pk, revoked_at__isnull=True).update(revoked_at=at):
        subject = f"build:{build.public_id}"
        audit.record("build.revoked", subject=subject, at=at, actor=actor, customer=build.customer)
        mark_dirty(build.customer)


def is_waiting(pk: int) -> bool:
    """Whether the build has not even begun."""
    return CustomerBuild.objects.filter(pk=pk, state=BuildState.QUEUED).exists()


def resume(*, at: datetime) -> int:
    """Wake the workers for all that is unfinished and nobody's. Returns how many that are."""
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=at)
    payloads = PayloadBuild.objects.filter(free, state__in=UNFINISHED).values_list("pk", flat=True)
    builds = CustomerBuild.objects.filter(free, state__in=UNFINISHED, payload__state=BuildState.BUILT)
    for pk in payloads:
        after_commit(PAYLOAD, pk)
    for build in builds:
        after_commit(SIGN if is_embedded(build) else BUILD, build.pk)
    return len(payloads) + len(builds)
