"""What a worker of the queue `maintenance` does here. Safe to run twice, and to be lost: the rows say what is due."""

from __future__ import annotations

from celery import shared_task, signals

from core import shared_clock
from plugins_registry import notices, orphans, resuming, scanning, scratch, wakeup


@shared_task(name=wakeup.SCAN, ignore_result=True)
def scan(revision_id: int) -> None:
    """Somebody submitted a revision, or its checks are to run again."""
    scanning.scan(revision_id)


@shared_task(name=wakeup.NOTIFY, ignore_result=True)
def notify(change_id: int) -> None:
    """A state change concerns an author."""
    notices.send(change_id, at=shared_clock.now())


@shared_task(name="registry.resume", ignore_result=True)
def resume() -> None:
    """Wake whoever did not hear of something, and remove what dead workers of this machine left."""
    resuming.resume(at=shared_clock.now())
    scratch.sweep()


@shared_task(name="registry.sweep_orphans", ignore_result=True)
def sweep_orphans() -> None:
    """Files of the storage that no row names."""
    orphans.sweep(at=shared_clock.agreed())


@signals.worker_init.connect
def sweep_scratch(**_: object) -> None:
    """A worker that starts may follow one that was killed."""
    scratch.sweep()
