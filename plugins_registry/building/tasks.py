"""What workers do for builds. Every task is safe to run twice, and to be lost: `registry.resume_builds` sends it again.

The queues are apart so that their workers can be: `builds` runs untrusted sources in a box and holds no key; `signing`
holds the keys and runs nothing. Which task is for which is said in the settings (`CELERY_TASK_ROUTES`).
"""

from __future__ import annotations

from celery import shared_task

from core import shared_clock
from plugins_registry.building import customer_builds, issuing, requests, wakeup
from plugins_registry.building.errors import IssuerMissing


@shared_task(name=wakeup.PAYLOAD, ignore_result=True)
def build_payload(pk: int) -> None:
    """A revision's payload for one platform."""
    from plugins_registry.building import payloads  # noqa: PLC0415 - bills of materials, for the one role that writes them

    payloads.build_payload(pk, clock=shared_clock.now)


@shared_task(name=wakeup.BUILD, ignore_result=True)
def build_for(pk: int) -> None:
    """A customer's package, as far as it goes without a key."""
    try:
        ready = customer_builds.embed(pk, clock=shared_clock.now)
    except IssuerMissing:
        ready = True  # the signing queue makes the key, and comes back to this
    if ready:
        wakeup.after_commit(wakeup.SIGN, pk)


@shared_task(name=wakeup.SIGN, ignore_result=True)
def sign_build(pk: int) -> None:
    """A customer's package: sign, pack, verify, keep."""
    from plugins_registry.signing.signers import package_signer  # noqa: PLC0415 - a worker that builds imports no signer

    signer = package_signer()
    if not issuing.issue(pk, clock=shared_clock.now, signer=signer) and requests.is_waiting(pk):
        wakeup.after_commit(wakeup.BUILD, pk)


@shared_task(name=wakeup.RESUME, ignore_result=True)
def resume_builds() -> None:
    """Builds whose wake-up was lost, or whose worker died."""
    requests.resume(at=shared_clock.now())
