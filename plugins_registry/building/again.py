"""An operator's word that a failed build may be tried again, or that a package must go. On record.

payload(build, actor="user:ops", at=moment)      what runs, for everybody
package(build, actor="user:ops", at=moment)      one customer's
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from customers import audit
from plugins_registry.building import requests
from plugins_registry.errors import TransitionRefused
from plugins_registry.models import BuildState, CustomerBuild, PayloadBuild


def payload(build: PayloadBuild, *, actor: str, at: datetime) -> None:
    """Queue a failed payload anew. Raises `TransitionRefused`."""
    with transaction.atomic():
        _check_failed(PayloadBuild.objects.select_for_update().get(pk=build.pk))
        requests.request_payloads(build.revision)
        owner, subject = build.revision.version.plugin.owner, f"revision:{build.revision.public_id}"
        audit.record("build.retried", subject=subject, at=at, actor=actor, customer=owner, platform=build.platform)


def package(build: CustomerBuild, *, actor: str, at: datetime) -> None:
    """Queue a customer's failed package anew. Raises `TransitionRefused`."""
    with transaction.atomic():
        _check_failed(CustomerBuild.objects.select_for_update().get(pk=build.pk))
        requests.request_build(build.payload, build.customer, at=at)
        subject = f"build:{build.public_id}"
        audit.record("build.retried", subject=subject, at=at, actor=actor, customer=build.customer)


def revoke(build: CustomerBuild, *, actor: str, at: datetime) -> None:
    """Take a package back. Raises `TransitionRefused` when there is none to take."""
    if build.revoked_at is not None or build.state != BuildState.BUILT:
        raise TransitionRefused(f"{build.public_id} is no package that is in use", "look at its state")
    requests.revoke(build, actor=actor, at=at)


def _check_failed(build: PayloadBuild | CustomerBuild) -> None:
    if build.state != BuildState.FAILED:
        raise TransitionRefused(f"this build is {build.get_state_display()}", "only one that failed is built again")
