"""What a worker of the queue `signing` does. Safe to run twice, at once, and to be lost: the rows say what is due."""

from __future__ import annotations

from celery import shared_task

from core import shared_clock
from plugins_registry.repositories import wakeup


@shared_task(name=wakeup.PUBLISH, ignore_result=True)
def publish() -> None:
    """Somebody marked a repository, or it is time to look."""
    from plugins_registry.repositories import rounds  # noqa: PLC0415 - signers of every kind, for the one role that signs

    rounds.publish_everything(at=shared_clock.now())
