"""What a worker of the queue `maintenance` does here. Safe to run twice, and to be lost: the rows say what is due.

Celery finds this module by its name, and by it those of the other two queues.
"""

from __future__ import annotations

from celery import shared_task, signals

from core import shared_clock
from plugins_registry import notices, orphans, scratch, wakeup
from plugins_registry.building import tasks as _building  # noqa: F401 - importing it registers its tasks
from plugins_registry.repositories import tasks as _repositories  # noqa: F401 - as well


@shared_task(name=wakeup.SCAN, ignore_result=True)
def scan(revision_id: int) -> None:
    """Somebody submitted a revision, or its checks are to run again."""
    from plugins_registry import scanning  # noqa: PLC0415 - every tool that checks, when there is something to check

    scanning.scan(revision_id)


@shared_task(name=wakeup.NOTIFY, ignore_result=True)
def notify(change_id: int) -> None:
    """A state change concerns an author."""
    notices.send(change_id, at=shared_clock.now())


@shared_task(name="registry.resume", ignore_result=True)
def resume() -> None:
    """Wake whoever did not hear of something, and remove what dead workers of this machine left."""
    from plugins_registry import resuming  # noqa: PLC0415 - as above

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
