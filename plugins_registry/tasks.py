"""What a worker of the queue `maintenance` does here. Safe to run twice, and to be lost: the rows say what is due."""

from __future__ import annotations

from celery import shared_task

from core.clock import now
from plugins_registry import notices, resuming, scanning, wakeup


@shared_task(name=wakeup.SCAN, ignore_result=True)
def scan(revision_id: int) -> None:
    """Somebody submitted a revision, or its checks are to run again."""
    scanning.scan(revision_id)


@shared_task(name=wakeup.NOTIFY, ignore_result=True)
def notify(change_id: int) -> None:
    """A state change concerns an author."""
    notices.send(change_id, at=now())


@shared_task(name="registry.resume", ignore_result=True)
def resume() -> None:
    """Wake whoever did not hear of something."""
    resuming.resume(at=now())
