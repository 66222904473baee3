"""What the console's page of one customer shows of this room: its packages and its submissions."""

from __future__ import annotations

from datetime import datetime

from django.urls import reverse
from django.utils.http import urlencode

from customers.admin.sections import Cell, Section, add
from customers.models import Customer
from plugins_registry import queries
from plugins_registry.admin.queue import tone
from plugins_registry.models import BuildState, CustomerBuild

MOST = 20


def _packages(customer: Customer, at: datetime) -> Section:
    found = CustomerBuild.objects.filter(customer=customer).select_related("payload__revision__version__plugin")
    rows = [
        [
            Cell(
                f"{build.payload.revision.version} {build.payload.platform}",
                reverse("admin:plugins_registry_customerbuild_change", args=(build.pk,)),
            ),
            _state(build, at),
            Cell(build.built_at or "–"),
            Cell(build.expires_at or "–"),
        ]
        for build in found.defer("log").order_by("-id")[:MOST]
    ]
    everything = reverse("admin:plugins_registry_customerbuild_changelist")
    address = f"{everything}?{urlencode({'q': customer.public_id})}"
    return Section("Packages", ("Plugin", "State", "Built", "Good until"), rows, "None was built.", address, "All")


def _state(build: CustomerBuild, at: datetime) -> Cell:
    if build.revoked_at:
        return Cell("revoked", badge="bad")
    if build.expires_at and build.expires_at <= at:
        return Cell("expired", badge="warn")
    tones = {BuildState.BUILT: "good", BuildState.FAILED: "bad"}
    return Cell(build.get_state_display(), badge=tones.get(BuildState(build.state), "plain"))


def _submissions(customer: Customer, at: datetime) -> Section:  # noqa: ARG001
    rows = [
        [
            Cell(str(row), reverse("admin:plugins_registry_revision_change", args=(row.pk,))),
            Cell(row.get_state_display(), badge=tone(row.state) or "plain"),
            Cell(row.submitted_by),
            Cell(row.submitted_at),
        ]
        for row in queries.submissions_of(customer.pk)[:MOST]
    ]
    return Section("Submissions", ("Plugin", "State", "By", "When"), rows, "This customer submitted no plugin.")


add(50, _packages)
add(60, _submissions)
